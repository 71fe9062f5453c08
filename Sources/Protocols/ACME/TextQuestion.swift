/// What a name service says of the texts of a name.
public enum TextAnswer: Hashable, Sendable {
  /// These stand in records; none: there are none.
  case texts([[UInt8]])
  /// There is more than one datagram holds: it is to be asked over TCP.
  case cut
  /// It could not find out, or does not tell: its code.
  case refused(Int)
  /// It answers this question, but not in form.
  case malformed
  /// It answers another question.
  case other
}

/// A question for the records of the type TXT of a name, as a name service is asked.
///
/// - Source: RFC 1035, section 4.1.
public struct TextQuestion: Hashable, Sendable {
  /// The most records of an answer that are looked at.
  public static let recordCount = 256
  /// The most names that stand for another one, one behind the other.
  public static let aliasCount = 8
  private static let nameBytes = 255
  private static let (alias, text): (UInt16, UInt16) = (5, 16)

  /// What tells this question from others.
  public let id: UInt16
  /// The name as it is sent, in lower case.
  private let name: [UInt8]

  /// Creates a question; nil for what is no name.
  ///
  /// - Parameters:
  ///   - name: Labels of 1 to 63 bytes, 253 bytes in all.
  ///   - id: Any number, which nobody can foresee.
  public init?(_ name: String, id: UInt16) {
    var bytes: [UInt8] = []
    for label in name.lowercased().utf8.split(separator: 0x2E, omittingEmptySubsequences: false) {
      guard (1...63).contains(label.count) else { return nil }
      bytes.append(UInt8(label.count))
      bytes += label
    }
    guard bytes.count < Self.nameBytes else { return nil }
    self.id = id
    self.name = bytes + [0]
  }

  /// What is sent: one question, whose answer the service is to look for elsewhere if it has to.
  public var bytes: [UInt8] {
    [UInt8(id >> 8), UInt8(id & 255), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 16, 0, 1]
  }

  /// Reads an answer; a name that stands for another one has the texts of that.
  ///
  /// - Source: RFC 1035, sections 4.1 and 4.2.1; RFC 8555, section 8.4.
  public func read(_ bytes: [UInt8]) -> TextAnswer {
    var reader = RecordReader(bytes)
    guard let id = reader.number(), let flags = reader.number(), let questions = reader.number(),
      let answers = reader.number(), reader.number() != nil, reader.number() != nil
    else { return .other }
    guard id == self.id, flags & 0x8000 != 0, flags & 0x7800 == 0, questions == 1,
      reader.name() == name, reader.number() == Self.text, reader.number() == 1
    else { return .other }
    if flags & 0x0200 != 0 { return .cut }
    switch flags & 15 {
    case 0: break
    // RFC 8020: there is no such name, and so there are no texts.
    case 3: return .texts([])
    default: return .refused(Int(flags & 15))
    }
    guard answers <= Self.recordCount else { return .malformed }
    var aliases: [[UInt8]: [UInt8]] = [:]
    var texts: [(owner: [UInt8], text: [UInt8])] = []
    for _ in 0..<answers {
      guard let owner = reader.name(), let kind = reader.number(), let space = reader.number(),
        reader.number() != nil, reader.number() != nil, let count = reader.number(),
        let end = reader.end(after: Int(count))
      else { return .malformed }
      if space == 1, kind == Self.alias {
        guard let target = reader.name(), reader.place == end else { return .malformed }
        aliases[owner] = target
      } else if space == 1, kind == Self.text {
        guard let text = reader.texts(until: end) else { return .malformed }
        texts.append((owner, text))
      }
      reader.place = end
    }
    var owner = name
    for _ in 0..<Self.aliasCount {
      guard let next = aliases[owner] else { break }
      owner = next
    }
    return .texts(texts.filter { $0.owner == owner }.map(\.text))
  }
}

/// Reads the parts of an answer; nil is given where it ends too early, or a name goes astray.
private struct RecordReader {
  let bytes: [UInt8]
  var place = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func number() -> UInt16? {
    guard bytes.count - place >= 2 else { return nil }
    defer { place += 2 }
    return UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
  }

  func end(after count: Int) -> Int? { bytes.count - place >= count ? place + count : nil }

  /// A name in lower case, with what it has in common with an earlier one.
  ///
  /// - Source: RFC 1035, section 4.1.4.
  mutating func name() -> [UInt8]? {
    var name: [UInt8] = []
    var next = place
    // Whoever points goes back, so that this ends.
    var bound = place
    var hasJumped = false
    while next < bytes.count {
      let count = Int(bytes[next])
      switch count {
      case 0:
        if !hasJumped { place = next + 1 }
        return name + [0]
      case 1...63:
        guard bytes.count - next > count, name.count + count + 1 < 255 else { return nil }
        name.append(UInt8(count))
        name += bytes[(next + 1)...(next + count)].map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }
        next += count + 1
      case 0xC0...:
        guard bytes.count - next > 1 else { return nil }
        if !hasJumped { place = next + 2 }
        hasJumped = true
        next = (count & 0x3F) << 8 | Int(bytes[next + 1])
        guard next < bound else { return nil }
        bound = next
      default: return nil
      }
    }
    return nil
  }

  /// The parts of a text, one behind the other, up to a place within the bytes.
  mutating func texts(until end: Int) -> [UInt8]? {
    var text: [UInt8] = []
    while place < end {
      let count = Int(bytes[place])
      guard end - place > count else { return nil }
      text += bytes[(place + 1)..<(place + 1 + count)]
      place += count + 1
    }
    return text
  }
}
