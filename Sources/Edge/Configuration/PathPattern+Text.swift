public import Directives

extension PathPattern {
  /// Reads a pattern as a route writes it, without the sign `=`.
  ///
  /// - Throws: ``ValueError`` with what is wrong and how to write it.
  public init(_ text: String) throws(ValueError) {
    try Self.check(text)
    var parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
      .map(String.init)
    let last = parts.removeLast()
    let isOpen = last.isEmpty || last.hasSuffix("*")
    let end = String(last.prefix { $0 != "*" })
    if isOpen, last.dropFirst(end.count).count > 2 || (last.hasSuffix("**") && !end.isEmpty) {
      throw ValueError("`*` at the end already takes everything", mend: "route /\(end)*")
    }
    if !last.hasSuffix("*"), last.contains("*") {
      throw ValueError(
        "`*` in the middle stands for a whole segment, `\(last)` has more than that",
        mend: text.prefix { $0 != "*" } + "*"
      )
    }
    guard parts.contains(where: { $0.contains("*") }) else {
      let front = parts.map { "/\($0)" }.joined()
      self.init(form: isOpen ? .prefix("\(front)/\(end)") : .exact(text), text: text)
      return
    }
    var segments = try parts.map { (part) throws(ValueError) in try Self.segment(part, of: text) }
    if !isOpen { segments.append(.literal(last)) }
    guard segments.count <= Self.maxSegmentCount else {
      throw ValueError("a pattern with `*` has at most \(Self.maxSegmentCount) segments")
    }
    self.init(form: .segments(segments, prefix: isOpen ? end : nil), text: text)
  }

  /// Reads the path of an exact pattern, in which `*` is a character like others.
  ///
  /// - Throws: ``ValueError`` with what is wrong and how to write it.
  public init(exactly text: String) throws(ValueError) {
    try Self.check(text)
    self = .exact(text)
  }

  private static func segment(_ part: String, of text: String) throws(ValueError) -> Segment {
    switch part {
    case "*": return .one
    case "**": return .many
    default:
      guard !part.contains("*") else {
        throw ValueError(
          "`*` in the middle stands for a whole segment, `\(part)` has more than that",
          mend: text.prefix { $0 != "*" } + "*"
        )
      }
      return .literal(part)
    }
  }

  /// Refuses what no request's path can be.
  private static func check(_ text: String) throws(ValueError) {
    guard text.hasPrefix("/") else {
      throw ValueError("a path begins with `/`", mend: "/\(text)")
    }
    guard text.utf8.count <= maxBytes else {
      throw ValueError("a path has at most \(maxBytes) bytes, this one has \(text.utf8.count)")
    }
    if let cut = text.firstIndex(where: { $0 == "?" || $0 == "#" }) {
      throw ValueError(
        "a path has no `\(text[cut])`; `query` asks for what follows it",
        mend: String(text[..<cut])
      )
    }
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw ValueError(
        "a path has no spaces, control characters or letters beyond ASCII: write %XX"
      )
    }
    let segments = text.split(separator: "/")
    if segments.contains(".") || segments.contains("..") {
      throw ValueError("no request's path has the segment `.` or `..`: they are resolved before")
    }
    try checkEscapes(text)
  }

  private static func checkEscapes(_ text: String) throws(ValueError) {
    let bytes = Array(text.utf8)
    for index in bytes.indices where bytes[index] == UInt8(ascii: "%") {
      let digits = String(decoding: bytes[(index + 1)...].prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit),
        let byte = UInt8(digits, radix: 16)
      else { throw ValueError("`%` is followed by two hexadecimal digits", mend: "%25") }
      let isUnreserved =
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
        default: false
        }
      if isUnreserved {
        let character = String(decoding: [byte], as: UTF8.self)
        throw ValueError(
          "requests are compared with `\(character)` for `%\(digits)`",
          mend: text.split(separator: "%\(digits)", omittingEmptySubsequences: false)
            .joined(separator: character)
        )
      }
    }
  }
}

extension PathPattern: CustomStringConvertible {
  /// The pattern as it is written in a configuration, with `= ` where its text alone means more.
  public var description: String {
    do throws(ValueError) {
      return try PathPattern(text).form == form ? text : "= \(text)"
    } catch {
      return "= \(text)"
    }
  }
}
