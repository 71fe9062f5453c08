public import Configuration
import OutlierDetection

/// What an upstream says about the health of its members.
public struct HealthPlan: Sendable {
  /// How members are asked whether they serve; nil: they are not.
  public let check: CheckSettings?
  /// The PROXY header that connections begin with; nil: none.
  public let proxyHeader: ProxySending.Version?
  /// The program that is told of each change, with its arguments; empty: none.
  public let changeCommand: [String]
  /// Who takes members out of service for their answers; nil: nobody.
  let outliers: OutlierWatch?

  init(_ settings: UpstreamSettings) {
    check = settings.check
    proxyHeader = settings.proxyProtocol?.version
    changeCommand = settings.changeCommand
    outliers = settings.eject.map { OutlierWatch($0) }
  }
}
