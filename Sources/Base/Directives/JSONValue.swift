/// A value of JSON that keeps the order of its members.
public enum JSONValue: Hashable, Sendable {
  /// Nothing.
  case null
  /// True or false.
  case flag(Bool)
  /// A whole number.
  case number(Int)
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

  /// The value of the member of this name; nil where there is none.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The value as text on several lines, indented by two spaces; no line end at its end.
  ///
  /// - Source: RFC 8259.
  public func formatted() -> String {
    var output = ""
    write(into: &output, indent: 0)
    return output
  }

  private func write(into output: inout String, indent: Int) {
    switch self {
    case .null: output += "null"
    case .flag(let flag): output += flag ? "true" : "false"
    case .number(let number): output += String(number)
    case .text(let text): Self.write(text, into: &output)
    case .list(let values):
      guard !values.isEmpty else { return output += "[]" }
      output += "["
      for (index, value) in values.enumerated() {
        Self.startLine(into: &output, indent: indent + 1, isFirst: index == 0)
        value.write(into: &output, indent: indent + 1)
      }
      output += "\n" + String(repeating: "  ", count: indent) + "]"
    case .object(let members):
      guard !members.isEmpty else { return output += "{}" }
      output += "{"
      for (index, member) in members.enumerated() {
        Self.startLine(into: &output, indent: indent + 1, isFirst: index == 0)
        Self.write(member.name, into: &output)
        output += ": "
        member.value.write(into: &output, indent: indent + 1)
      }
      output += "\n" + String(repeating: "  ", count: indent) + "}"
    }
  }

  private static func startLine(into output: inout String, indent: Int, isFirst: Bool) {
    output += (isFirst ? "\n" : ",\n") + String(repeating: "  ", count: indent)
  }

  private static func write(_ text: String, into output: inout String) {
    output += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case let scalar where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }
}
