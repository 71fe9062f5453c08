/// The session of the client of one exchange.
///
/// What is changed is kept when the answer's head leaves: ``SessionKeeper/commit(_:overTLS:at:)``.
public final class Session {
  /// What is to become of its number.
  enum Fate {
    case kept
    /// The client gets another one, and the old one is good for nothing.
    case changes
    case ends
  }

  private(set) var number: SessionNumber?
  /// As the store had it, or as it begins.
  private(set) var record: SessionRecord
  private(set) var fate = Fate.kept
  /// What was changed; nil: was removed.
  private(set) var changes: [String: String?] = [:]
  private(set) var newUser: String?
  /// Whether the client's cookie is good for nothing.
  let hasStaleCookie: Bool

  init(_ number: SessionNumber?, _ record: SessionRecord, hasStaleCookie: Bool = false) {
    (self.number, self.record, self.hasStaleCookie) = (number, record, hasStaleCookie)
  }

  /// Whether the client has none yet: it gets one when something is to be remembered.
  public var isNew: Bool { number == nil }

  /// What applications know it by, 32 hexadecimal digits; it stays when the number in the cookie changes.
  public var name: String { record.name }

  /// Who the client is; empty: nobody has signed in.
  public var user: String { newUser ?? record.user }

  /// What is remembered.
  public var values: [String: String] {
    var values = record.values
    for (name, value) in changes { values[name] = value }
    return values
  }

  /// What is remembered under a name; nil: nothing.
  public subscript(name: String) -> String? {
    get { changes[name] ?? record.values[name] }
    set { changes[name] = .some(newValue) }
  }

  /// Notes who the client is from now on.
  ///
  /// The number changes, since whoever knew the old one may have given it to the client.
  public func signIn(as user: String) {
    newUser = user
    rotate()
  }

  /// Gives the client another number with the answer; the old one is good for nothing then.
  ///
  /// Called whenever the client may do more than before.
  public func rotate() { if fate == .kept { fate = .changes } }

  /// Ends it: everything is forgotten.
  public func end() { fate = .ends }

  /// What the store is to have, given what it has.
  func applied(to stored: SessionRecord) -> SessionRecord {
    var result = stored
    for (name, value) in changes { result.values[name] = value }
    if let newUser { result.user = newUser }
    return result
  }

  /// What becomes of it when it is kept.
  public enum Outcome: Hashable, Sendable {
    /// Nothing but what is remembered changes.
    case stays
    /// It begins.
    case begins
    /// It gets another number.
    case changes
    /// It ends.
    case ends
  }

  /// What becomes of it when it is kept now.
  public var outcome: Outcome {
    switch fate {
    case .ends: isNew ? .stays : .ends
    case .kept, .changes:
      isNew ? isChanged ? .begins : .stays : fate == .changes ? .changes : .stays
    }
  }

  /// Whether there is something to be kept.
  var isChanged: Bool { !changes.isEmpty || newUser != nil }
}
