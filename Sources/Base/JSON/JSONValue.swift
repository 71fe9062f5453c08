/// A value of JSON that keeps the order of its members.
public enum JSONValue: Hashable, Sendable {
  /// Nothing.
  case null
  /// True or false.
  case flag(Bool)
  /// A whole number.
  case number(Int)
  /// Any other number.
  case real(Double)
  /// A text.
  case text(String)
  /// Values in order.
  case list([JSONValue])
  /// Members in order.
  case object([Member])

  /// One member of an object.
  public struct Member: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: JSONValue

    /// Creates a member.
    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// An object with these members, in order.
  public static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
    .object(members.map { Member($0.key, $0.value) })
  }

  /// The value of the member of this name; nil where there is none.
  ///
  /// - Complexity: O(*n*) in the members.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The text, if it is one.
  public var text: String? { if case .text(let text) = self { text } else { nil } }
  /// The whole number, if it is one.
  public var number: Int? { if case .number(let number) = self { number } else { nil } }
  /// Whether it is true, if it is a flag.
  public var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }
  /// The values, if it is a list.
  public var list: [JSONValue]? { if case .list(let values) = self { values } else { nil } }
  /// The members, if it is an object.
  public var members: [Member]? { if case .object(let members) = self { members } else { nil } }
}
