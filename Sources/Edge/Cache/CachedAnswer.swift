public import HTTPCaching
import MartletBytes

/// The head of an answer as clients get it: ready to be sent up to what differs from one to the other.
public struct AnswerHead: Sendable {
  /// Status line, fields, `Content-Length` where the length is known, and the empty line.
  public let bytes: [UInt8]
  /// The status.
  public let status: UInt16
  /// The fields without `Content-Length`.
  public let fields: Range<Int>
  /// How long the body is; nil while that is not known.
  public let length: Int?
  /// The value of ETag; empty without one.
  public let tag: Range<Int>
  /// The value of Last-Modified; empty without one.
  public let lastModified: Range<Int>

  /// Creates a head: `statusLine` is the first line without its end, `lines` are the fields without
  /// `Content-Length`, each with its end, in which `tag` and `lastModified` are.
  public init(
    status: UInt16,
    statusLine: [UInt8],
    lines: [UInt8],
    length: Int?,
    tag: Range<Int>,
    lastModified: Range<Int>
  ) {
    self.status = status
    self.length = length
    let start = statusLine.count + 2
    var bytes = statusLine
    bytes.reserveCapacity(start + lines.count + 40)
    bytes += [0x0D, 0x0A]
    bytes += lines
    fields = start..<bytes.count
    if let length, status != 204 {
      bytes += Array("Content-Length: \(length)\r\n".utf8)
    }
    bytes += [0x0D, 0x0A]
    self.bytes = bytes
    self.tag = tag.isEmpty ? 0..<0 : tag.lowerBound + start..<tag.upperBound + start
    self.lastModified =
      lastModified.isEmpty
      ? 0..<0 : lastModified.lowerBound + start..<lastModified.upperBound + start
  }

  /// The same head with a length.
  public func with(length: Int) -> AnswerHead {
    let start = fields.lowerBound
    return AnswerHead(
      status: status,
      statusLine: Array(bytes[..<(start - 2)]),
      lines: Array(bytes[fields]),
      length: length,
      tag: tag.isEmpty ? 0..<0 : tag.lowerBound - start..<tag.upperBound - start,
      lastModified: lastModified.isEmpty
        ? 0..<0 : lastModified.lowerBound - start..<lastModified.upperBound - start
    )
  }
}

extension AnswerHead {
  /// Whether parts under both heads are of the same whole: it has one strong tag.
  public func mayCombine(with other: AnswerHead) -> Bool {
    length == other.length
      && PartSet.mayCombine(
        bytes.span.extracting(tag),
        other.bytes.span.extracting(other.tag)
      )
  }
}

/// The bytes of a body in pieces, which nobody changes, or one that stays on the disk.
public struct CachedBody: Sendable {
  /// How long each piece is but the last one.
  public static let pieceBytes = 64 << 10

  /// The pieces.
  public let pieces: [[UInt8]]
  /// How many bytes there are.
  public let count: Int
  /// Where it is if it has no pieces.
  public let disk: DiskBody?

  /// Creates a body of pieces, of which all but the last one are ``pieceBytes`` long.
  public init(pieces: [[UInt8]], count: Int) {
    self.pieces = pieces
    self.count = count
    disk = nil
  }

  /// Creates a body that stays on the disk, where all of it is.
  public init(disk: DiskBody) {
    pieces = []
    count = disk.count
    self.disk = disk
  }

  /// Whether it can be sent: one that is on the disk may be gone.
  var isUsable: Bool { disk?.isUsable ?? true }

  /// How many bytes of memory it takes.
  var memoryByteCount: Int {
    guard let disk else { return count + pieces.count * Self.pieceOverhead }
    return Self.diskOverhead + disk.blockCount * Self.blockOverhead
  }

  // What belongs to each piece, to a body on the disk, and to each of its blocks.
  static let pieceOverhead = 40
  private static let diskOverhead = 256
  private static let blockOverhead = 16

  /// Creates a body of these bytes.
  public init(_ bytes: [UInt8]) {
    count = bytes.count
    disk = nil
    pieces =
      bytes.isEmpty
      ? []
      : stride(from: 0, to: bytes.count, by: Self.pieceBytes).map { start in
        Array(bytes[start..<min(start + Self.pieceBytes, bytes.count)])
      }
  }

  /// The piece that holds the byte at `offset`, and where in it that is.
  public func piece(at offset: Int) -> (bytes: [UInt8], start: Int) {
    (pieces[offset / Self.pieceBytes], offset % Self.pieceBytes)
  }
}

/// An answer that is kept: immutable, shared by all loops.
public final class CachedAnswer: Sendable {
  /// What decides whether it may be sent.
  public let terms: StoredTerms
  /// Its head.
  public let head: AnswerHead
  /// Its body; empty where only parts of it are there.
  public let body: CachedBody
  /// The parts of its body that are there; nil: all of it is.
  public let parts: CachedParts?
  /// Which fields of a request it depends on; nil: none.
  public let vary: VaryRule?
  /// What those were for it.
  public let variant: [UInt8]
  /// What its tags are known by.
  public let tags: [UInt64]
  /// How many bytes it takes, with what is needed to find it.
  public let byteCount: Int
  private let keyCount: Int

  // What an entry of the store and its lists take, and the objects themselves: rather more than less.
  private static let overhead = 512

  /// Creates an answer that is found by a key of `keyCount` bytes.
  public init(
    terms: StoredTerms,
    head: AnswerHead,
    body: CachedBody,
    vary: VaryRule? = nil,
    variant: [UInt8] = [],
    tags: [UInt64] = [],
    keyCount: Int,
    parts: CachedParts? = nil
  ) {
    self.terms = terms
    self.head = head
    self.body = body
    self.vary = vary
    self.variant = variant
    self.tags = tags
    self.keyCount = keyCount
    self.parts = parts
    byteCount =
      head.bytes.count + body.memoryByteCount + variant.count + tags.count * 8 + keyCount
      + Self.overhead + (parts?.memoryByteCount ?? 0)
  }

  /// The same answer under other terms, perhaps with another head or body.
  public func with(
    terms: StoredTerms,
    head: AnswerHead? = nil,
    body: CachedBody? = nil,
    parts: CachedParts? = nil
  ) -> CachedAnswer {
    CachedAnswer(
      terms: terms,
      head: head ?? self.head,
      body: body ?? self.body,
      vary: vary,
      variant: variant,
      tags: tags,
      keyCount: keyCount,
      parts: parts ?? self.parts
    )
  }

  /// What came later, with the parts of both; nil: they do not belong together, or are too many.
  public func joined(with newer: CachedAnswer) -> CachedAnswer? {
    guard isSameVariant(as: newer), head.mayCombine(with: newer.head), let newParts = newer.parts,
      let all = parts?.joined(with: newParts)
    else { return nil }
    return newer.with(terms: newer.terms, parts: all)
  }

  /// Whether it can be sent: what is on the disk may be gone.
  var isUsable: Bool { body.isUsable && parts?.isUsable != false }

  /// The body that is written to a disk, and which part of the whole it is; nil: it is there, or is several parts.
  var written: (body: CachedBody, part: StoredRecord.Part?)? {
    if parts == nil { return body.disk == nil ? (body, nil) : nil }
    guard let (start, body) = parts?.only, body.disk == nil, let length = parts?.length else {
      return nil
    }
    return (body, StoredRecord.Part(start: UInt64(start), length: UInt64(length)))
  }

  /// How long the whole body is.
  public var length: Int { parts?.length ?? body.count }

  /// Whether the two are for the same requests.
  func isSameVariant(as other: CachedAnswer) -> Bool {
    vary == other.vary && variant == other.variant
  }
}
