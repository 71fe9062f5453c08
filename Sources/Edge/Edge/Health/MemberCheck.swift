public import Configuration
import Directives
public import MartletSystem

/// A target that is to be checked, and the members whose health that is: those of all upstreams that
/// have it with the same check.
public final class MemberCheck: Sendable {
  /// What makes two checks one.
  public struct Key: Hashable, Sendable {
    let location: Member.Location
    let settings: CheckSettings
    let proxyHeader: ProxySending.Version?
    let tls: MemberTLSSettings?
  }

  /// What makes two checks one.
  public let key: Key
  /// The member as written.
  public let memberName: String
  /// Whose health it is.
  public let subjects: [HealthChange.Subject]
  let members: [Member]
  /// How TLS is spoken with the target; nil: it is not.
  public let tls: MemberTLSPlan?
  /// The host and the port that are asked in place of the members'; nil: theirs.
  private let host: IPAddress?
  private let port: UInt16?

  private init(
    _ key: Key,
    _ group: [(subject: HealthChange.Subject, member: Member)],
    tls: MemberTLSPlan?
  ) {
    self.tls = tls
    self.key = key
    memberName = group.first?.member.name ?? ""
    subjects = group.map(\.subject)
    members = group.map(\.member)
    host = key.settings.address
    port = key.settings.port
  }

  /// The checks of the members that these upstreams have now, in their order.
  public static func all(of upstreams: [UpstreamPlan]) -> [MemberCheck] {
    var groups: [Key: [(subject: HealthChange.Subject, member: Member)]] = [:]
    var order: [Key] = []
    var plans: [Key: MemberTLSPlan] = [:]
    for upstream in upstreams {
      guard let settings = upstream.health.check else { continue }
      for member in upstream.members {
        let key = Key(
          location: member.location,
          settings: settings,
          proxyHeader: upstream.health.proxyHeader,
          tls: upstream.tls?.settings
        )
        let subject = HealthChange.Subject(
          upstream: upstream.name,
          member: member.name,
          command: upstream.health.changeCommand
        )
        plans[key] = upstream.tls
        if groups[key] == nil { order.append(key) }
        groups[key, default: []].append((subject, member))
      }
    }
    return order.compactMap { key in groups[key].map { MemberCheck(key, $0, tls: plans[key]) } }
  }

  /// Where it is found.
  public var location: Member.Location { key.location }

  /// The PROXY header that a connection begins with; nil: none.
  public var proxyHeader: ProxySending.Version? { key.proxyHeader }

  /// How it is checked.
  public var settings: CheckSettings { key.settings }

  /// Where it is reached now; a name may have several addresses, or none.
  public var addresses: [SocketAddress] {
    let addresses = members.first?.addresses ?? []
    guard host != nil || port != nil else { return addresses }
    return addresses.map { address in
      let port = port ?? address.port ?? 0
      if let host { return SocketAddress(host, port: port) }
      return switch address {
      case .ipv4(let host, _): .ipv4(host, port: port)
      case .ipv6(let high, let low, _, let scope): .ipv6(high, low, port: port, scope: scope)
      case .unix: address
      }
    }
  }

  /// A number for the target and for what it is asked, the same in every process.
  ///
  /// Intervals and counts do not belong to it: what is known outlives a change of them.
  public var memory: UInt64 {
    let place =
      switch key.location {
      case .address(let address): "\(address)"
      case .name(let name, let port): "\(name):\(port)"
      }
    let http = settings.http
    var words = [
      place, settings.kind.rawValue, settings.address?.description ?? "",
      settings.port.map { "\($0)" } ?? "",
      http.method, http.path, http.host ?? "", http.body ?? "", settings.expect ?? "",
      settings.serverName ?? "", settings.user, key.proxyHeader?.rawValue ?? "",
    ]
    words += http.fields.flatMap { [$0.name, $0.value] }
    words += http.statuses.map { "\($0.bounds.lowerBound)-\($0.bounds.upperBound)" }
    words += settings.command + [settings.send.map { "\($0)" }.joined(separator: " ")]
    if let service = settings.service { words.append(service) }
    // FNV-1a; between words stands what none of them holds.
    return words.joined(separator: "\0").utf8.reduce(0xCBF2_9CE4_8422_2325) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01B3
    }
  }

  /// Where it is always reached; nil where it has a name, whose addresses change.
  public var fixedAddress: SocketAddress? {
    if case .address = key.location { addresses.first } else { nil }
  }

  /// What was reported of it last.
  public var report: CheckReport { members.first?.checkReport ?? CheckReport() }

  /// Tells all loops what checks have found, and shows it.
  ///
  /// `now` is the monotonic clock's.
  public func publish(_ report: CheckReport, at now: Int64) {
    for member in members {
      member.show(report)
      member.change(at: now) { $0.health = report.health }
    }
  }

  /// Forgets what checks have found about members that nobody checks.
  public static func forgetUnchecked(of upstreams: [UpstreamPlan]) {
    let now = SystemClock.monotonicNanoseconds()
    for upstream in upstreams where upstream.health.check == nil {
      for member in upstream.members where member.checkReport != nil {
        member.show(nil)
        member.change(at: now) { $0.health = .unknown }
      }
    }
  }
}
