public import HTTPMessage
import MartletBytes

/// Which form of the protocol for resumable uploads a client speaks.
///
/// The drafts differ in a few names; each client says which one it was made for, until the protocol is
/// published, when clients say nothing.
///
/// - Source: draft-ietf-httpbis-resumable-upload, of which the versions 01 to 12 have the numbers 3 to 8.
public struct UploadDialect: Hashable, Sendable {
  /// The number of the draft's version; nil: the client says none.
  public let number: Int?

  /// The form of clients that do not say which one they speak.
  public static let current = UploadDialect(number: nil)

  /// The form with a number; nil where that is not spoken here.
  public init?(_ number: Int64) {
    guard 3...8 ~= number else { return nil }
    self.number = Int(number)
  }

  private init(number: Int?) { self.number = number }

  private func isSince(_ first: Int) -> Bool { number.map { $0 >= first } ?? true }

  /// Whether it is said that an upload is incomplete, instead of that it is complete.
  public var saysIncomplete: Bool { !isSince(4) }
  /// Whether parts have a media type of their own.
  public var hasMediaType: Bool { isSince(6) }
  /// Whether refusals tell their reason in a form that programs read.
  public var tellsProblems: Bool { isSince(5) }
  /// Whether it is told how far an upload is while its content comes.
  public var tellsProgress: Bool { isSince(5) }
  /// What the key is called that says how long an upload is kept.
  public var ageKey: String { isSince(7) ? "max-age" : "expires" }
}

/// What the fields of a request say of a resumable upload.
public struct UploadRequest: Hashable, Sendable {
  /// How the client speaks of it.
  public var dialect = UploadDialect.current
  /// Whether the content of this request is the last; nil: it is not said.
  public var isComplete: Bool?
  /// Where its content begins in the whole; nil: it is not said.
  public var offset: Int64?
  /// How long the whole is; nil: it is not said.
  public var length: Int64?

  /// Reads the fields of a request; what is not in form counts as not said.
  ///
  /// - Returns: nil where the client speaks a form that is not spoken here.
  /// - Complexity: O(*n*) in the field lines.
  public init?(_ request: RequestHead, in bytes: Span<UInt8>) {
    let fields = request.fields
    if fields.first(named: Self.version.span, in: bytes) != nil {
      guard let number = Self.count(Self.version, fields, bytes), let spoken = UploadDialect(number)
      else { return nil }
      dialect = spoken
    }
    let name = dialect.saysIncomplete ? Self.incomplete : Self.complete
    if case .truth(let said)? = fields.item(named: name.span, in: bytes) {
      isComplete = said != dialect.saysIncomplete
    }
    offset = Self.count(Self.offset, fields, bytes)
    length = Self.count(Self.length, fields, bytes)
  }

  /// Whether a request says, in whatever form, that its content is not all of an upload.
  public static func saysPart(_ request: RequestHead, in bytes: Span<UInt8>) -> Bool {
    request.fields.item(named: complete.span, in: bytes) == .truth(false)
      || request.fields.item(named: incomplete.span, in: bytes) == .truth(true)
  }

  private static let version = Array("upload-draft-interop-version".utf8)
  private static let incomplete = Array("upload-incomplete".utf8)
  private static let complete = Array("upload-complete".utf8)
  private static let offset = Array("upload-offset".utf8)
  private static let length = Array("upload-length".utf8)

  /// The value of a field that is a number and not negative.
  private static func count(
    _ name: [UInt8],
    _ fields: FieldLines,
    _ bytes: Span<UInt8>
  ) -> Int64? {
    guard case .integer(let number)? = fields.item(named: name.span, in: bytes), number >= 0 else {
      return nil
    }
    return number
  }

  /// How long the whole is, if the request tells: by its field, or by the length of its content, which begins
  /// at `offset`, if that is the last.
  ///
  /// - Throws: ``UploadLengthConflict`` where both tell and differ, or differ from what is `known`.
  public func wholeLength(
    at offset: Int64,
    content: BodyLength,
    known: Int64?
  ) throws(UploadLengthConflict) -> Int64? {
    var told = [known, length].compactMap(\.self)
    if isComplete == true {
      switch content {
      case .none: told.append(offset)
      case .fixed(let count):
        let (sum, isTooLarge) = offset.addingReportingOverflow(Int64(clamping: count))
        told.append(isTooLarge ? .max : sum)
      case .chunked, .untilClose: break
      }
    }
    guard let first = told.first else { return nil }
    guard told.allSatisfy({ $0 == first }), first >= offset else { throw UploadLengthConflict() }
    return first
  }
}

/// Two lengths of one upload that are not the same.
public struct UploadLengthConflict: Error, Hashable, Sendable {
  /// Creates a conflict.
  public init() {}
}

/// The name of an upload that is not complete: 128 bits that nobody can guess.
public struct UploadName: Hashable, Sendable, CustomStringConvertible {
  private let high: UInt64
  private let low: UInt64

  /// A name that no other upload has.
  public static func random() -> UploadName {
    // The kernel's numbers: whoever knows a name may write to its upload.
    var source = SystemRandomNumberGenerator()
    return UploadName(high: source.next(), low: source.next())
  }

  private init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The key of the parameter of a URL that names an upload, with its sign.
  public static let parameter = "upload="

  /// Whether the query of a URL is that of an upload, whatever stands behind the key.
  public static func isQuery(_ query: Span<UInt8>) -> Bool {
    query.count >= key.count && query.extracting(first: key.count).elementsAreEqual(key)
  }

  private static let key = Array(parameter.utf8)

  /// Reads the query of a URL, which holds nothing else.
  public init?(query: Span<UInt8>) {
    guard Self.isQuery(query) else { return nil }
    self.init(hexadecimal: query.extracting(Self.key.count..<query.count))
  }

  /// Reads 32 digits in lower case.
  public init?(hexadecimal text: Span<UInt8>) {
    guard text.count == 32 else { return nil }
    var words: (UInt64, UInt64) = (0, 0)
    for index in text.indices {
      let byte = text[index]
      guard !(0x41...0x46 ~= byte), let digit = hexDigit(byte) else { return nil }
      if index < 16 {
        words.0 = words.0 << 4 | UInt64(digit)
      } else {
        words.1 = words.1 << 4 | UInt64(digit)
      }
    }
    (high, low) = words
  }

  /// The name as 32 hexadecimal digits.
  public var description: String {
    [high, low].map { word in
      let text = String(word, radix: 16)
      return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
    .joined()
  }
}

extension Span<UInt8> {
  fileprivate func elementsAreEqual(_ other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    for index in indices where self[index] != other[index] { return false }
    return true
  }
}

/// What clients are told about the bounds of uploads.
public struct UploadLimits: Hashable, Sendable {
  /// The longest whole, in bytes.
  public var byteCount: Int64
  /// The longest content of one request, in bytes; nil: there is no bound.
  public var partByteCount: Int64?
  /// How long the upload is still kept, in seconds.
  public var seconds: Int64

  /// Creates bounds.
  public init(byteCount: Int64, partByteCount: Int64?, seconds: Int64) {
    self.byteCount = byteCount
    self.partByteCount = partByteCount
    self.seconds = seconds
  }

  /// The value of `Upload-Limit`: a dictionary, whose integers have at most fifteen digits.
  ///
  /// - Source: RFC 9651, section 3.3.1.
  public func text(in dialect: UploadDialect) -> String {
    var members = ["max-size=\(min(byteCount, Self.largest))"]
    if let partByteCount { members.append("max-append-size=\(min(partByteCount, Self.largest))") }
    members.append("\(dialect.ageKey)=\(max(0, min(seconds, Self.largest)))")
    return members.joined(separator: ", ")
  }

  private static let largest: Int64 = 999_999_999_999_999
}
