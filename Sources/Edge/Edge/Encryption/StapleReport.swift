/// What is known of the response that clients are shown with a certificate.
public struct StapleReport: Hashable, Sendable {
  /// What state it is in.
  public enum State: String, Hashable, Sendable, CaseIterable {
    /// The responder was not asked yet.
    case waiting
    /// It says that the certificate is good.
    case good
    /// It could not be asked; a response from before is shown as long as it counts.
    case failing
    /// It says that the certificate was revoked.
    case revoked
  }

  /// The certificate: its file, or `auto` and its names.
  public var certificate: String
  /// Who is asked; empty: nobody.
  public var responder: String
  /// Whether the certificate tells clients to insist on a response.
  public var isRequired: Bool
  /// What state it is in.
  public var state = State.waiting
  /// From when on and until when the response counts that is shown, in seconds since 1970; nil: none is
  /// shown.
  public var validity: ClosedRange<Int64>?
  /// When the responder is asked next, in seconds since 1970; nil: it is not.
  public var next: Int64?
  /// How often it was asked in vain since it has answered.
  public var failureCount = 0
  /// How many responses have come.
  public var fetchedCount = 0
  /// How often none came.
  public var failedCount = 0
  /// Why none has come the last time; empty: one has.
  public var problem = ""

  /// Creates the report of a certificate of which nothing is known.
  public init(_ certificate: String, responder: String, isRequired: Bool) {
    self.certificate = certificate
    self.responder = responder
    self.isRequired = isRequired
  }
}
