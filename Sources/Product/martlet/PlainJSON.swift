/// A JSON value as lines for people: what is one thing stands on one line.
struct PlainJSON {
  private enum Value {
    case text(String)
    case list([Value])
    case object([(name: String, value: Value)])
  }

  private static let depthLimit = 16

  /// The lines.
  let lines: [String]

  /// Reads a JSON text; nil when it is none, or deeper than 16 levels.
  init?(_ json: String) {
    var rest = Array(json.utf8)[...]
    guard let value = Self.value(&rest, depth: 0) else { return nil }
    var lines: [String] = []
    Self.write(value, margin: "", to: &lines)
    self.lines = lines
  }

  private static func write(_ value: Value, margin: String, to lines: inout [String]) {
    switch value {
    case .text(let text): lines.append(margin + text)
    case .list(let values): for value in values { write(value, margin: margin, to: &lines) }
    case .object(let members):
      let plain = members.compactMap { member in
        isPlain(member.value).map {
          "\(member.name.split(separator: "_").joined(separator: " ")) \($0)"
        }
      }
      if !plain.isEmpty { lines.append(margin + plain.joined(separator: ", ")) }
      for member in members where isPlain(member.value) == nil {
        lines.append("\(margin)\(member.name)")
        write(member.value, margin: margin + "  ", to: &lines)
      }
    }
  }

  /// The text of a value that fits behind its name.
  private static func isPlain(_ value: Value) -> String? {
    switch value {
    case .text(let text): return text
    case .list(let values):
      let texts = values.compactMap { value in
        if case .text(let text) = value { text } else { nil as String? }
      }
      return texts.count == values.count ? texts.joined(separator: " ") : nil
    case .object: return nil
    }
  }

  private static func skip(_ rest: inout ArraySlice<UInt8>) {
    rest = rest.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
  }

  private static func take(_ byte: Unicode.Scalar, _ rest: inout ArraySlice<UInt8>) -> Bool {
    skip(&rest)
    guard rest.first == UInt8(ascii: byte) else { return false }
    rest = rest.dropFirst()
    return true
  }

  private static func value(_ rest: inout ArraySlice<UInt8>, depth: Int) -> Value? {
    guard depth < depthLimit else { return nil }
    if take("{", &rest) {
      var members: [(String, Value)] = []
      while !take("}", &rest) {
        if !members.isEmpty, !take(",", &rest) { return nil }
        guard let name = text(&rest), take(":", &rest), let value = value(&rest, depth: depth + 1)
        else { return nil }
        members.append((name, value))
      }
      return .object(members)
    }
    if take("[", &rest) {
      var values: [Value] = []
      while !take("]", &rest) {
        if !values.isEmpty, !take(",", &rest) { return nil }
        guard let value = value(&rest, depth: depth + 1) else { return nil }
        values.append(value)
      }
      return .list(values)
    }
    if rest.first == UInt8(ascii: "\"") { return text(&rest).map { .text($0) } }
    let word = rest.prefix { !",]} \n\r\t".utf8.contains($0) }
    guard !word.isEmpty else { return nil }
    rest = rest.dropFirst(word.count)
    return .text(String(decoding: word, as: UTF8.self))
  }

  private static func text(_ rest: inout ArraySlice<UInt8>) -> String? {
    guard take("\"", &rest) else { return nil }
    var bytes: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\"") { return String(decoding: bytes, as: UTF8.self) }
      // What is escaped is shown as it is written: nothing of it can disturb a terminal.
      bytes.append(byte)
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() { bytes.append(escaped) }
    }
    return nil
  }
}
