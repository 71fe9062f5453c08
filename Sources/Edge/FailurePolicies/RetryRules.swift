/// Which failures are followed by another try.
///
/// A request that no member can have seen may be sent again whatever its method. One that a member may
/// have acted on is sent again if its method is idempotent, or if its class says so in as many words.
///
/// - Source: RFC 9110, section 9.2.2.
public struct RetryRules: Hashable, Sendable {
  // A bit for each class.
  private var classes: UInt8 = 0
  private var unsafeClasses: UInt8 = 0
  private var listed: StatusSet = []
  private var unsafeListed: StatusSet = []

  /// Creates rules under which nothing is tried again.
  public init() {}

  /// What is safe for everybody: members that cannot be reached, that break off before their answer,
  /// or that do not begin it in time.
  public static let standard: RetryRules = {
    var rules = RetryRules()
    for kind in [FailureClass.connectFailed, .connectTimeout, .reset, .firstByteTimeout] {
      rules.allow(kind)
    }
    return rules
  }()

  /// Lets failures of this class be tried again; with `nonIdempotent` for every method.
  public mutating func allow(_ kind: FailureClass, nonIdempotent: Bool = false) {
    classes |= Self.bit(kind)
    if nonIdempotent { unsafeClasses |= Self.bit(kind) }
  }

  /// Lets answers with this status be tried again; with `nonIdempotent` for every method.
  ///
  /// A status that a ``StatusSet`` cannot hold is never tried again.
  public mutating func allow(status: UInt16, nonIdempotent: Bool = false) {
    guard StatusSet.statuses.contains(status) else { return }
    allow(.status)
    listed.insert(status)
    if nonIdempotent { unsafeListed.insert(status) }
  }

  /// Whether any status is listed.
  public var listsStatus: Bool { classes & Self.bit(.status) != 0 }

  /// Whether answers with this status count as failures that may be tried again.
  @inlinable
  public func lists(status: UInt16) -> Bool {
    status >= 400 && listsStatus && contains(status)
  }

  @usableFromInline func contains(_ status: UInt16) -> Bool { listed.contains(status) }

  /// Whether a request may be sent again after this failure.
  public func allow(_ failure: TryFailure, isIdempotent: Bool) -> Bool {
    guard classes & Self.bit(failure.kind) != 0 else { return false }
    if failure.kind == .status {
      guard listed.contains(failure.status) else { return false }
      return isIdempotent || unsafeListed.contains(failure.status)
    }
    return isIdempotent || !failure.mayBeSeen || unsafeClasses & Self.bit(failure.kind) != 0
  }

  /// The classes, and whether each is tried again for every method; statuses are not among them.
  public var allowedClasses: [(kind: FailureClass, nonIdempotent: Bool)] {
    FailureClass.allCases.filter { $0 != .status && classes & Self.bit($0) != 0 }
      .map { ($0, unsafeClasses & Self.bit($0) != 0) }
  }

  /// The statuses in order, and whether each is tried again for every method.
  public var allowedStatuses: [(status: UInt16, nonIdempotent: Bool)] {
    listed.all.map { ($0, unsafeListed.contains($0)) }
  }

  private static func bit(_ kind: FailureClass) -> UInt8 { 1 << kind.rawValue }
}
