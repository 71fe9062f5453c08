public import HTTPMessage
import MartletBytes

/// Takes a chunked body apart, in place.
///
/// ```
///           digits          CR LF                        CR LF
///   size ──────────▶ size ─────────▶ data ─── all of it ────────▶ size
///                      │ ;             ▲
///                      ▼               │ CR LF, size > 0
///                  extension ──────────┤
///                                      │ CR LF, size = 0
///                                      ▼
///                                  trailers ── empty line ──▶ over
/// ```
///
/// The caller takes steps, with ``next(in:at:)`` or with ``pass(in:at:)``, until one asks for more
/// bytes. It then keeps the bytes from `offset` on, which are the beginning of a trailer line or
/// nothing, and gives them again with more behind them. No byte is looked at twice.
///
/// Only what every reader reads alike is accepted: a size is up to fifteen hexadecimal digits and
/// nothing else, every line ends with CRLF, and extensions hold no control byte. Extensions are
/// read over. Trailers that frame, route or belong to one connection are refused
/// (``FieldName/isRefusedInTrailers``); other trailers that only a head may hold are left out
/// (``FieldName/isForbiddenInTrailers``).
///
/// - Source: RFC 9112, section 7.1.
public struct ChunkedDecoder: Sendable {
  /// What was found, for a caller that wants the content.
  public enum Event: Hashable, Sendable {
    /// Everything but an incomplete trailer line was used: give more.
    case needBytes
    /// These bytes are content; never empty.
    case data(Range<Int>)
    /// A trailer; the value is without the whitespace around it.
    case trailer(name: Range<Int>, value: Range<Int>)
    /// The body is over; `offset` stands behind it.
    case end
  }

  /// What was found, for a caller that passes the chunks on as they are.
  public enum Passage: Hashable, Sendable {
    /// Everything but an incomplete trailer line was used: give more.
    case needBytes
    /// These bytes can be passed on unchanged; never empty.
    ///
    /// `content` of them are content; the others are sizes and line ends. Extensions are left out.
    case bytes(Range<Int>, content: Int)
    /// A trailer; where it is to be passed on, it is written between the ranges before and behind.
    case trailer(name: Range<Int>, value: Range<Int>)
    /// The body is over, and its last line end was in the ranges given.
    case end
  }

  private enum State: Comparable, Sendable {
    case size
    /// At or behind the semicolon.
    case sizeExtension
    /// At the CR behind an extension.
    case sizeReturn
    case sizeLineFeed
    case data
    case dataReturn
    case dataLineFeed
    case trailers
    case over
  }

  // Fifteen digits keep a size below 2^60, so that no sum of sizes that a body can reach overflows.
  private static let sizeDigits = 15

  private let limits: HeadLimits
  private var state = State.size
  private var digits = 0
  /// The size of the chunk, and then what is left of it.
  private var remaining: UInt64 = 0
  private var extensionBytes = 0
  private var extensionTotalBytes = 0
  private var trailerBytes = 0
  private var trailerCount = 0
  private var scanner = LineScanner()

  /// Creates a decoder that stands before the first chunk.
  public init(limits: HeadLimits) {
    self.limits = limits
  }

  /// Whether the last byte of the body was used.
  public var isOver: Bool { state == .over }

  /// Takes the next step in `bytes`, from `offset` on, and moves `offset` behind what it used.
  ///
  /// - Throws: ``MessageError``; the end of the message can no longer be known, so the connection
  ///   must be closed.
  /// - Complexity: O(*n*) in the bytes of framing, with no allocation; content is not looked at.
  public mutating func next(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(MessageError) -> Event {
    while true {
      if state == .data {
        guard offset < bytes.count else { return .needBytes }
        return .data(skipData(in: bytes, at: &offset))
      }
      guard state < .trailers else { return try nextTrailer(in: bytes, at: &offset) }
      guard try readFraming(in: bytes, at: &offset) else { return .needBytes }
    }
  }

  /// Takes the next step like ``next(in:at:)``, with as much in one range as can be passed on.
  ///
  /// The ranges of one body, one behind the other, are a chunked body with the same content. The
  /// two forms must not be mixed within a body.
  ///
  /// - Throws: ``MessageError``, also where sound chunks stand before the defect in `bytes`.
  /// - Complexity: O(*n*) in the bytes of framing, with no allocation; content is not looked at.
  public mutating func pass(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(MessageError) -> Passage {
    var start = offset
    var content = 0
    while state < .trailers {
      if state == .data {
        content &+= skipData(in: bytes, at: &offset).count
        guard state != .data else { break }
      }
      let isExtension = state == .sizeExtension
      if isExtension, start < offset { break }
      guard try readFraming(in: bytes, at: &offset) else {
        if isExtension { start = offset }
        break
      }
      if isExtension { start = offset }
    }
    if state == .trailers {
      // The last line end goes with what stands before it, and a trailer stands alone.
      let isPending = start < offset
      if !isPending || (offset < bytes.count && bytes[offset] == 0x0D) {
        if case .trailer(let name, let value) = try nextTrailer(in: bytes, at: &offset) {
          return .trailer(name: name, value: value)
        }
        if !isPending { start = state == .over ? offset &- 2 : offset }
      }
    }
    if start < offset { return .bytes(start..<offset, content: content) }
    return state == .over ? .end : .needBytes
  }

  /// Skips what there is of the chunk's data, and returns where it lies.
  @inline(__always)
  private mutating func skipData(in bytes: Span<UInt8>, at offset: inout Int) -> Range<Int> {
    let start = offset
    let count = Int(min(remaining, UInt64(bytes.count &- start)))
    remaining &-= UInt64(count)
    if remaining == 0 { state = .dataReturn }
    offset = start &+ count
    return start..<offset
  }

  /// Reads sizes and line ends, up to data, to an extension or its end, or to the trailers.
  ///
  /// - Returns: Whether one of these was reached; if not, all bytes were used.
  private mutating func readFraming(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(MessageError) -> Bool {
    while offset < bytes.count {
      let byte = bytes[offset]
      switch state {
      case .size:
        guard let digit = hexDigit(byte) else {
          try endSize(at: byte)
          if state == .sizeExtension { return true }
          break
        }
        guard digits < Self.sizeDigits else { throw MessageError(.chunkSizeOverflow) }
        remaining = remaining &<< 4 | UInt64(digit)
        digits &+= 1
      case .sizeExtension:
        guard byte != 0x0D else {
          state = .sizeReturn
          return true
        }
        try countExtension(byte)
      case .sizeReturn:
        state = .sizeLineFeed
      case .sizeLineFeed:
        guard byte == 0x0A else { throw MessageError(.bareCarriageReturn) }
        offset &+= 1
        digits = 0
        extensionBytes = 0
        state = remaining > 0 ? .data : .trailers
        return true
      case .dataReturn:
        guard byte == 0x0D else { throw MessageError(.missingChunkEnd) }
        state = .dataLineFeed
      case .dataLineFeed:
        guard byte == 0x0A else { throw MessageError(.missingChunkEnd) }
        state = .size
      case .data, .trailers, .over:
        return true
      }
      offset &+= 1
    }
    return false
  }

  /// Takes the byte behind a size's digits.
  private mutating func endSize(at byte: UInt8) throws(MessageError) {
    guard digits > 0 else { throw MessageError(.malformedChunkSize) }
    switch byte {
    case 0x0D: state = .sizeLineFeed
    case 0x3B: state = .sizeExtension
    case 0x0A: throw MessageError(.bareLineFeed)
    default: throw MessageError(.malformedChunkSize)
    }
  }

  private mutating func countExtension(_ byte: UInt8) throws(MessageError) {
    // A bare line feed here is how one server's extension becomes another's request.
    guard byte != 0x0A else { throw MessageError(.bareLineFeed) }
    guard byte >= 0x20 || byte == 0x09, byte != 0x7F else {
      throw MessageError(.chunkExtensionByte)
    }
    extensionBytes += 1
    extensionTotalBytes += 1
    guard extensionBytes <= limits.chunkExtensionBytes else {
      throw MessageError(.chunkExtensionTooLong)
    }
    guard extensionTotalBytes <= limits.chunkExtensionTotalBytes else {
      throw MessageError(.chunkExtensionsTooLong)
    }
  }

  /// Reads on to the next trailer that counts, or to the end.
  @inline(never)
  private mutating func nextTrailer(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(MessageError) -> Event {
    // What is kept of a line must fit the two bytes of its ranges.
    let limit = min(limits.trailerBytes, 65_535)
    while state == .trailers {
      scanner.restart(at: offset)
      guard
        let end = try scanner.lineEnd(
          in: bytes,
          lineBytes: (limits.lineBytes, .fieldLineTooLong),
          totalBytes: (offset &+ limit &- trailerBytes, .trailersTooLarge)
        )
      else { return .needBytes }
      let start = offset
      offset = end &+ 2
      trailerBytes &+= offset &- start
      scanner.advance(behind: end)
      guard start < end else {
        state = .over
        break
      }
      trailerCount += 1
      guard trailerCount <= limits.trailerCount else { throw MessageError(.tooManyTrailers) }
      let line = try FieldLine(
        bytes.extracting(start..<end),
        from: 0,
        to: end &- start,
        isFirst: trailerCount == 1,
        nameBytes: limits.fieldNameBytes,
        table: .shared
      )
      guard !line.name.isRefusedInTrailers else { throw MessageError(.forbiddenTrailer) }
      if line.name.isForbiddenInTrailers { continue }
      let value = line.valueRange
      return .trailer(
        name: start..<start &+ line.nameRange.upperBound,
        value: start &+ value.lowerBound..<start &+ value.upperBound
      )
    }
    return .end
  }
}
