// From values to text.

extension JSONValue {
  /// The value as text on one line.
  ///
  /// - Source: RFC 8259.
  public var compact: String {
    var output = ""
    write(into: &output, indent: nil)
    return output
  }

  /// The value as text on several lines, indented by two spaces; no line end at its end.
  ///
  /// - Source: RFC 8259.
  public func formatted() -> String {
    var output = ""
    write(into: &output, indent: 0)
    return output
  }

  /// Writes the value at this depth; nil: on one line.
  private func write(into output: inout String, indent: Int?) {
    switch self {
    case .null: output += "null"
    case .flag(let flag): output += flag ? "true" : "false"
    case .number(let number): output += String(number)
    // JSON has no word for what is no number.
    case .real(let number): output += number.isFinite ? "\(number)" : "null"
    case .text(let text): Self.write(text, into: &output)
    case .list(let values):
      Self.write(values, "[", "]", into: &output, indent: indent) { value, output, indent in
        value.write(into: &output, indent: indent)
      }
    case .object(let members):
      Self.write(members, "{", "}", into: &output, indent: indent) { member, output, indent in
        Self.write(member.name, into: &output)
        output += indent == nil ? ":" : ": "
        member.value.write(into: &output, indent: indent)
      }
    }
  }

  private static func write<Element>(
    _ elements: [Element],
    _ opening: String,
    _ closing: String,
    into output: inout String,
    indent: Int?,
    _ write: (Element, inout String, Int?) -> Void
  ) {
    output += opening
    let inner = indent.map { $0 + 1 }
    for (index, element) in elements.enumerated() {
      if index > 0 { output += "," }
      if let inner { output += "\n" + String(repeating: "  ", count: inner) }
      write(element, &output, inner)
    }
    if let indent, !elements.isEmpty { output += "\n" + String(repeating: "  ", count: indent) }
    output += closing
  }

  /// Nothing in the text can end a line or command a terminal.
  private static func write(_ text: String, into output: inout String) {
    output += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case let scalar where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }
}
