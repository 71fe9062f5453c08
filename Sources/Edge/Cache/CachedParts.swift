public import HTTPCaching
import MartletBytes

/// Parts of a body that came one by one, and belong together.
///
/// What is there twice is kept once, as far as that needs no copies; small parts that touch are put together, so
/// that many of them do not cost more than a few. Each is in memory or on a disk.
public struct CachedParts: Sendable {
  private struct Segment: Sendable {
    /// Where it begins in the whole.
    var start: Int
    var body: CachedBody
    /// How many bytes of the body are not of use.
    var skipped: Int
    var count: Int

    var end: Int { start + count }
  }

  /// How long the whole is.
  public let length: Int
  /// Which bytes are there.
  public private(set) var present = PartSet()
  private var segments: [Segment] = []

  /// Creates a set of one part of a whole of `length` bytes, which begins at `start`.
  public init(length: Int, start: Int, _ body: CachedBody) {
    self.length = length
    guard body.count > 0 else { return }
    segments = [Segment(start: start, body: body, skipped: 0, count: body.count)]
    _ = present.insert(Int64(start)..<Int64(start + body.count))
  }

  /// A part that is on a disk.
  init(_ part: StoredRecord.Part, _ body: CachedBody) {
    self.init(length: Int(clamping: part.length), start: Int(clamping: part.start), body)
  }

  /// Whether what a disk has of it was looked for.
  public private(set) var isOfDisk = false

  /// How many bytes are kept.
  public var byteCount: Int { segments.reduce(0) { $0 + $1.body.count } }
  /// How many of them are in memory.
  public var memoryCount: Int {
    segments.reduce(0) { $0 + ($1.body.disk == nil ? $1.body.count : 0) }
  }
  /// How many bytes of memory it takes.
  var memoryByteCount: Int {
    segments.reduce(0) { $0 + $1.body.memoryByteCount + 2 * CachedBody.pieceOverhead }
  }
  /// Whether what is on a disk is still there.
  var isUsable: Bool { segments.allSatisfy { $0.body.isUsable } }
  /// Whether all of it is in memory.
  public var isInMemory: Bool { segments.allSatisfy { $0.body.disk == nil } }

  /// The only part, if there is one alone and all of its body is of use.
  var only: (start: Int, body: CachedBody)? {
    guard segments.count == 1, let segment = segments.first, segment.skipped == 0,
      segment.count == segment.body.count
    else { return nil }
    return (segment.start, segment.body)
  }

  /// The parts that are on a disk; nil: none is.
  public var onDisk: CachedParts? {
    var some = CachedParts(length: length, start: 0, CachedBody([]))
    for segment in segments where segment.body.disk != nil {
      _ = some.present.insert(Int64(segment.start)..<Int64(segment.end))
      some.segments.append(segment)
    }
    return some.segments.isEmpty ? nil : some
  }

  /// The same parts, when what a disk has of them was looked for.
  public func ofDisk() -> CachedParts {
    var same = self
    same.isOfDisk = true
    return same
  }

  /// Whether nothing is missing.
  public var isComplete: Bool { contains(0..<length) }

  /// Whether all of these bytes are there.
  public func contains(_ range: Range<Int>) -> Bool {
    present.contains(Int64(range.lowerBound)..<Int64(range.upperBound))
  }

  /// The bytes from the first of these that is missing to the last; nil: none is.
  public func span(missingOf range: Range<Int>) -> Range<Int64>? {
    let missing = present.missing(of: Int64(range.lowerBound)..<Int64(range.upperBound))
    guard let first = missing.first, let last = missing.last else { return nil }
    return first.lowerBound..<last.upperBound
  }

  /// These parts and those of `newer`; nil: there are too many with something missing between them.
  public func joined(with newer: CachedParts) -> CachedParts? {
    var all = self
    all.isOfDisk = isOfDisk || newer.isOfDisk
    for segment in newer.segments {
      for gap in all.present.missing(of: Int64(segment.start)..<Int64(segment.end)) {
        guard all.present.insert(gap) else { return nil }
        var part = segment
        part.start = Int(gap.lowerBound)
        part.skipped += part.start - segment.start
        part.count = gap.count
        all.insert(part)
      }
    }
    return all
  }

  private mutating func insert(_ new: Segment) {
    var place = segments.firstIndex { $0.start > new.start } ?? segments.count
    var new = new
    if place > 0, segments[place - 1].end == new.start,
      let both = Self.joined(segments[place - 1], new)
    {
      place -= 1
      segments.remove(at: place)
      new = both
    }
    if place < segments.count, new.end == segments[place].start,
      let both = Self.joined(new, segments[place])
    {
      segments[place] = both
    } else {
      segments.insert(new, at: place)
    }
  }

  /// Two parts that touch as one, where both are small.
  private static func joined(_ left: Segment, _ right: Segment) -> Segment? {
    guard left.count + right.count <= CachedBody.pieceBytes, left.body.disk == nil,
      right.body.disk == nil
    else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(left.count + right.count)
    for segment in [left, right] {
      var offset = segment.skipped
      while offset < segment.skipped + segment.count {
        let (piece, start) = segment.body.piece(at: offset)
        let end = min(piece.count, start + segment.skipped + segment.count - offset)
        bytes.append(copying: piece.span.extracting(start..<end))
        offset += end - start
      }
    }
    return Segment(start: left.start, body: CachedBody(bytes), skipped: 0, count: bytes.count)
  }

  /// Where bytes of a part are.
  public enum Source: Sendable {
    /// In a piece, at this place of it.
    case piece([UInt8], Range<Int>)
    /// In a body on a disk, at this place of it.
    case disk(DiskBody, Range<Int>)
  }

  /// The piece with the byte at `offset` of the whole, and what of it is of use from there; nil: it is not in memory.
  public func piece(at offset: Int) -> (bytes: [UInt8], place: Range<Int>)? {
    if case .piece(let bytes, let place)? = source(at: offset) { return (bytes, place) }
    return nil
  }

  /// Where the byte at `offset` of the whole is, with those behind it; nil: it is not there.
  public func source(at offset: Int) -> Source? {
    var (low, high) = (0, segments.count)
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].end <= offset { low = middle + 1 } else { high = middle }
    }
    guard low < segments.count, segments[low].start <= offset else { return nil }
    let segment = segments[low]
    let place = segment.skipped + offset - segment.start
    if let disk = segment.body.disk { return .disk(disk, place..<place + segment.end - offset) }
    let (bytes, start) = segment.body.piece(at: place)
    return .piece(bytes, start..<min(bytes.count, start + segment.end - offset))
  }

  /// Makes one body of parts of which none is missing, and all are in memory, a step at a time.
  public struct Assembly: Sendable {
    private let parts: CachedParts
    private var pieces: [[UInt8]] = []
    private var offset = 0

    /// Begins with the first byte.
    public init(_ parts: CachedParts) { self.parts = parts }

    /// Copies as much as may be copied at once; pieces that can stay as they are do.
    ///
    /// - Returns: The body, once all of it is there.
    public mutating func step() -> CachedBody? {
      var copied = 0
      while offset < parts.length, copied < Self.bytesAtOnce {
        let count = min(CachedBody.pieceBytes, parts.length - offset)
        guard let (bytes, place) = parts.piece(at: offset) else { return nil }
        if place == 0..<count, bytes.count == count {
          pieces.append(bytes)
          offset += count
          continue
        }
        var piece: [UInt8] = []
        piece.reserveCapacity(count)
        while piece.count < count, let (bytes, place) = parts.piece(at: offset) {
          let end = min(place.upperBound, place.lowerBound + count - piece.count)
          piece.append(copying: bytes.span.extracting(place.lowerBound..<end))
          offset += end - place.lowerBound
        }
        copied += count
        pieces.append(piece)
      }
      return offset == parts.length ? CachedBody(pieces: pieces, count: parts.length) : nil
    }

    private static let bytesAtOnce = 1 << 20
  }
}
