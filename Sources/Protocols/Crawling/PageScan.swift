/// The title and the links of a page of HTML.
///
/// It is no parser of HTML: it finds tags and their attributes as browsers cut them, passes over comments, scripts and
/// styles, and takes no notice of what is open within what.
public struct PageScan: Hashable, Sendable {
  /// The most links that are taken, and the longest title.
  public static let linkLimit = 5000
  private static let titleBytes = 1000
  private static let nameBytes = 32
  private static let valueBytes = 8192

  /// The title, with white space as one space; nil where there is none.
  public private(set) var title: String?
  /// Where links lead, in the order of the page, as they are written there.
  public private(set) var links: [String] = []
  /// What links are relative to, where the page says so.
  public private(set) var base: String?
  /// Whether the page asks crawlers not to follow its links.
  public private(set) var asksNotToFollow = false

  private let bytes: [UInt8]
  private var index = 0

  /// Looks through a page.
  ///
  /// - Complexity: O(*n*).
  public init(_ page: [UInt8]) {
    bytes = page
    while let start = find(0x3C) {
      index = start + 1
      if starts(with: "!--") {
        index = end(of: "-->")
      } else if let byte = present, Self.isLetter(byte) {
        takeTag()
      } else {
        index = find(0x3E).map { $0 + 1 } ?? bytes.count
      }
    }
  }

  private var present: UInt8? { index < bytes.count ? bytes[index] : nil }

  private func find(_ byte: UInt8) -> Int? {
    bytes[index...].firstIndex(of: byte)
  }

  private static func isLetter(_ byte: UInt8) -> Bool { 0x61...0x7A ~= byte | 0x20 }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || 0x09...0x0D ~= byte }

  private func starts(with text: String) -> Bool {
    bytes[index...].prefix(text.utf8.count).elementsEqual(text.utf8)
  }

  /// Where a text ends that is looked for from here on, in any case of its letters; the end without it.
  private func end(of text: String) -> Int {
    let wanted = Array(text.utf8)
    var place = index
    while place + wanted.count <= bytes.count {
      if bytes[place] | 0x20 == wanted[0] | 0x20,
        zip(bytes[place..<place + wanted.count], wanted).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
      {
        return place + wanted.count
      }
      place += 1
    }
    return bytes.count
  }

  private mutating func takeTag() {
    let name = word { Self.isSpace($0) || $0 == 0x3E || $0 == 0x2F }
    // A tag that does not end is none.
    guard let attributes = takeAttributes() else { return }
    switch name {
    case "a", "area":
      let isFollowed = attributes["rel"].map { !$0.lowercased().contains("nofollow") } ?? true
      if let link = attributes["href"], isFollowed, links.count < Self.linkLimit {
        links.append(link)
      }
    case "base": base = base ?? attributes["href"]
    case "meta":
      if attributes["name"]?.lowercased() == "robots",
        let words = attributes["content"]?.lowercased()
      {
        asksNotToFollow = asksNotToFollow || words.contains("nofollow") || words.contains("none")
      }
    case "title": takeTitle()
    // What they hold is no page.
    case "script", "style", "textarea", "template": index = end(of: "</\(name)")
    default: break
    }
  }

  private mutating func takeTitle() {
    let start = index
    index = end(of: "</title")
    guard title == nil else { return }
    let end = index == bytes.count ? index : index - "</title".utf8.count
    let text = Self.withoutEntities(
      String(decoding: bytes[start..<min(end, start + Self.titleBytes)], as: UTF8.self)
    )
    let words = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
      .split { $0.properties.isWhitespace }
    title = words.map { String(String.UnicodeScalarView($0)) }.joined(separator: " ")
  }

  private mutating func word(until isEnd: (UInt8) -> Bool) -> String {
    let start = index
    while let byte = present, !isEnd(byte) { index += 1 }
    return String(decoding: bytes[start..<min(index, start + Self.nameBytes)], as: UTF8.self)
      .lowercased()
  }

  private mutating func takeAttributes() -> [String: String]? {
    var attributes: [String: String] = [:]
    while let byte = present {
      if byte == 0x3E {
        index += 1
        return attributes
      }
      if Self.isSpace(byte) || byte == 0x2F || byte == 0x3D {
        index += 1
        continue
      }
      let name = word { Self.isSpace($0) || $0 == 0x3E || $0 == 0x2F || $0 == 0x3D }
      let value = takeValue()
      // The first one of a name counts.
      if attributes.count < 32, attributes[name] == nil { attributes[name] = value }
    }
    return nil
  }

  private mutating func takeValue() -> String {
    while let byte = present, Self.isSpace(byte) { index += 1 }
    guard present == 0x3D else { return "" }
    index += 1
    while let byte = present, Self.isSpace(byte) { index += 1 }
    let start: Int
    if let quote = present, quote == 0x22 || quote == 0x27 {
      index += 1
      start = index
      let end = find(quote) ?? bytes.count
      index = min(end + 1, bytes.count)
      return value(start, end)
    }
    start = index
    while let byte = present, !Self.isSpace(byte), byte != 0x3E { index += 1 }
    return value(start, index)
  }

  private func value(_ start: Int, _ end: Int) -> String {
    guard end - start <= Self.valueBytes else { return "" }
    return Self.withoutEntities(String(decoding: bytes[start..<end], as: UTF8.self))
  }

  private static let entities: [String: String] = [
    "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ",
  ]

  private static func withoutEntities(_ text: String) -> String {
    guard text.contains("&") else { return text }
    var result = ""
    var rest = text[...]
    while let mark = rest.firstIndex(of: "&") {
      result += rest[..<mark]
      rest = rest[rest.index(after: mark)...]
      let name = rest.prefix(10).prefix { $0.isLetter || $0.isNumber || $0 == "#" }
      guard rest.dropFirst(name.count).first == ";", let character = character(name) else {
        result += "&"
        continue
      }
      result += character
      rest = rest.dropFirst(name.count + 1)
    }
    return result + rest
  }

  private static func character(_ name: Substring) -> String? {
    guard name.hasPrefix("#") else { return entities[String(name)] }
    let isHexadecimal = name.hasPrefix("#x") || name.hasPrefix("#X")
    let number = UInt32(name.dropFirst(isHexadecimal ? 2 : 1), radix: isHexadecimal ? 16 : 10)
    return number.flatMap(UnicodeScalar.init).map { String(Character($0)) }
  }
}
