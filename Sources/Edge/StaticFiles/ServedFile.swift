public import HTTPMessage
import MartletBytes
public import MartletSystem

/// A file as it can be sent: with its bytes or its descriptor, and the fields that say what it is.
///
/// It does not change, but for what is found out about it; whoever is sending it keeps it, whatever becomes of the
/// file's name meanwhile.
public final class Representation {
  /// What was known of the file when it was opened.
  public let facts: FileFacts
  /// In which coding it is.
  public let coding: AcceptedCodings.Coding
  /// Its bytes, where they are kept.
  public let bytes: [UInt8]?
  /// The open file; nil where its bytes are kept.
  public let file: OpenFile?
  /// The value of `ETag`; empty: it has none.
  public let tag: [UInt8]
  /// When it was changed, as far as fields can say it.
  public let modified: HTTPDate
  /// The lines that every answer about it has, 304 too: `ETag`, `Last-Modified`, `Cache-Control`, `Vary`.
  public let shared: [UInt8]
  /// The value of `Content-Type`; empty: none is sent.
  public let type: [UInt8]
  /// The lines of an answer with all of it: those above, `Content-Type`, `Content-Length` and others.
  public let whole: [UInt8]
  /// The lines of an answer with a part of it, without those that say which.
  public let part: [UInt8]
  /// The lines of an answer with several parts.
  public let parts: [UInt8]
  /// Whether it was changed so lately that it may change again without its time showing that.
  let isYoung: Bool

  /// Its digests, as far as somebody has made them, by the names that RFC 9530 has for them.
  public var digests: [String: [UInt8]] = [:]
  /// Whether somebody makes one.
  public var isBeingDigested = false

  /// How many bytes it has.
  public var byteCount: Int64 { facts.byteCount }

  /// What is said of a file besides what the file itself says.
  struct Saying {
    var type: String?
    var cacheControl: String?
    var dictionaryUse: String?
    var varies: Bool
    var tags: TagForm
    /// Whether tags name the very file: where each version is a file of its own.
    var namesFile: Bool
    var omitted: Set<FileRules.Field>

    enum TagForm { case strong, weak, off }
  }

  init(
    _ facts: FileFacts,
    _ coding: AcceptedCodings.Coding,
    bytes: [UInt8]?,
    file: OpenFile?,
    _ saying: Saying,
    now: FileTime
  ) {
    self.facts = facts
    self.coding = coding
    self.bytes = bytes
    self.file = file
    isYoung = !saying.namesFile && now.isYoung(facts)
    modified = HTTPDate(
      secondsSince1970: min(facts.modifiedNanoseconds, now.nanoseconds).flooredSeconds
    )
    var lines: [UInt8] = []
    var tag: [UInt8] = []
    if saying.tags != .off, !saying.omitted.contains(.tag) {
      let isWeak = isYoung || saying.tags == .weak
      tag = Self.tag(of: facts, coding, isWeak: isWeak, namesFile: saying.namesFile)
      lines.append(line: .tag, tag)
    }
    self.tag = tag
    if !saying.omitted.contains(.lastModified) {
      let date = modified.text
      lines.append(line: .lastModified, Array(copying: date.bytes))
    }
    if let value = saying.cacheControl, !saying.omitted.contains(.cacheControl) {
      lines.append(line: .cacheControl, Array(value.utf8))
    }
    if let value = saying.dictionaryUse, !saying.omitted.contains(.dictionary) {
      lines += Array("Use-As-Dictionary: \(value)\r\n".utf8)
    }
    if saying.varies, !saying.omitted.contains(.vary) {
      lines.append(line: .vary, Array("Accept-Encoding".utf8))
    }
    shared = lines
    if coding != .identity {
      lines += Array("Content-Encoding: \(coding.name)\r\n".utf8)
    }
    if !saying.omitted.contains(.ranges) { lines += Array("Accept-Ranges: bytes\r\n".utf8) }
    parts = lines
    let type = saying.omitted.contains(.contentType) ? nil : saying.type
    self.type = Array((type ?? "").utf8)
    if let type { lines.append(line: .contentType, Array(type.utf8)) }
    part = lines
    whole = lines + Array("Content-Length: \(facts.byteCount)\r\n".utf8)
  }

  /// The tag of a version: when it was changed and how long it is, in hexadecimal digits.
  ///
  /// A file that was just changed may be changed once more within the same tick of the clock; its tag is
  /// weak until that can no longer be (RFC 9110, section 8.8.1).
  private static func tag(
    of facts: FileFacts,
    _ coding: AcceptedCodings.Coding,
    isWeak: Bool,
    namesFile: Bool
  ) -> [UInt8] {
    let time = String(UInt64(bitPattern: facts.modifiedNanoseconds), radix: 16)
    let size = String(facts.byteCount, radix: 16)
    let number = namesFile ? "-\(String(facts.number, radix: 16))" : ""
    let ending = number + (coding == .identity ? "" : "-\(coding.name)")
    return Array("\(isWeak ? "W/" : "")\"\(time)-\(size)\(ending)\"".utf8)
  }
}

/// A file with the forms of it that lie beside it.
public final class ServedFile {
  /// The file itself.
  public let identity: Representation
  /// Its compressed forms.
  public let variants: [Representation]

  init(_ identity: Representation, variants: [Representation]) {
    self.identity = identity
    self.variants = variants
  }

  /// The form that a request likes best; of two that it likes equally the smaller one.
  ///
  /// A request that takes none of them gets the file as it is: RFC 9110, section 12.5.3, leaves that to
  /// the server.
  public func representation(
    for request: RequestHead,
    in bytes: Span<UInt8>
  ) -> Representation {
    guard !variants.isEmpty else { return identity }
    let accepted = AcceptedCodings(of: request, in: bytes)
    var best = identity
    var weight = accepted.weight(of: .identity)
    for variant in variants {
      let other = accepted.weight(of: variant.coding)
      guard other > 0 else { continue }
      if other > weight || other == weight && variant.byteCount < best.byteCount {
        best = variant
        weight = other
      }
    }
    return best
  }

  /// How many bytes of it are kept in memory.
  var keptBytes: Int {
    variants.reduce(identity.bytes?.count ?? 0) { $0 + ($1.bytes?.count ?? 0) }
  }
}

/// The time of day, in nanoseconds since 1970.
public struct FileTime: Hashable, Sendable {
  let nanoseconds: Int64

  /// Creates the time of so many nanoseconds since 1970.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// How long ago a file must have been changed for its time to name one version: longer than any
  /// kernel's tick, and than what a clock that is read a few times a second is late.
  private static let youth: Int64 = 1_500_000_000

  func isYoung(_ facts: FileFacts) -> Bool {
    facts.modifiedNanoseconds > nanoseconds - Self.youth
  }
}

extension Int64 {
  fileprivate var flooredSeconds: Int64 {
    self >= 0 ? self / 1_000_000_000 : (self - 999_999_999) / 1_000_000_000
  }
}

extension [UInt8] {
  fileprivate mutating func append(line field: FileRules.Field, _ value: [UInt8]) {
    self += Array(field.rawValue.utf8)
    self += [0x3A, 0x20]
    self += value
    self += [0x0D, 0x0A]
  }
}
