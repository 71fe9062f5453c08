import JSON

/// A JSON value as lines for people: what is one thing stands on one line.
struct PlainJSON {
  /// The lines.
  let lines: [String]

  /// Lays out a value.
  init(_ value: JSONValue) {
    var lines: [String] = []
    Self.write(value, margin: "", to: &lines)
    self.lines = lines
  }

  private static func write(_ value: JSONValue, margin: String, to lines: inout [String]) {
    switch value {
    case .list(let values): for value in values { write(value, margin: margin, to: &lines) }
    case .object(let members):
      let plain = members.compactMap { member in
        plainText(of: member.value).map {
          "\(member.name.split(separator: "_").joined(separator: " ")) \($0)"
        }
      }
      if !plain.isEmpty { lines.append(margin + plain.joined(separator: ", ")) }
      for member in members where plainText(of: member.value) == nil {
        lines.append("\(margin)\(member.name)")
        write(member.value, margin: margin + "  ", to: &lines)
      }
    default: lines.append(margin + single(value))
    }
  }

  /// The text of a value that fits behind its name.
  private static func plainText(of value: JSONValue) -> String? {
    switch value {
    case .object: return nil
    case .list(let values):
      let isPlain = values.allSatisfy { $0.list == nil && $0.members == nil }
      return isPlain ? values.map(single).joined(separator: " ") : nil
    default: return single(value)
    }
  }

  /// What is escaped is shown as it is written: nothing of it can disturb a terminal.
  private static func single(_ value: JSONValue) -> String {
    guard case .text = value else { return value.compact }
    return String(value.compact.dropFirst().dropLast())
  }
}
