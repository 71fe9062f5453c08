import CCompression
public import HTTPMessage

// Invariant of this file: a decoder of the library belongs to one `Decoder`, which frees it once; the bytes
// that it reads and writes are those of a call, passed with their counts.

/// How large a body may become when it is decoded.
public struct DecodingLimits: Hashable, Sendable {
  /// The most bytes.
  public var byteCount: Int
  /// How many bytes may come of one, once ``freeByteCount`` are out.
  public var ratio: Int
  /// So many bytes may come of whatever there is.
  public var freeByteCount: Int

  /// Creates limits.
  public init(byteCount: Int = 64 << 20, ratio: Int = 200, freeByteCount: Int = 1 << 20) {
    self.byteCount = byteCount
    self.ratio = ratio
    self.freeByteCount = freeByteCount
  }

  /// Whether so many bytes may have come of `taken`.
  func allow(_ made: Int, of taken: Int) -> Bool {
    guard made <= byteCount else { return false }
    if made <= freeByteCount { return true }
    let (most, overflows) = max(1, taken).multipliedReportingOverflow(by: ratio)
    return overflows || made <= most
  }
}

/// Decodes one body after the other.
///
/// It belongs to one thread at a time.
@safe
public final class Decoder {
  /// The coding.
  public let coding: ContentCoding
  /// How large a body may become.
  public var limits: DecodingLimits
  private let decoder: OpaquePointer
  private var taken = 0
  private var made = 0
  /// Whether the body may end here.
  private var isComplete = false

  /// Creates a decoder; ``begin()`` comes next.
  ///
  /// nil for identity, for what needs a dictionary, and without memory.
  public init?(_ coding: ContentCoding, limits: DecodingLimits = DecodingLimits()) {
    guard !coding.needsDictionary, let kind = coding.kind,
      let decoder = unsafe martlet_decoder_new(kind)
    else { return nil }
    self.coding = coding
    self.limits = limits
    unsafe self.decoder = decoder
  }

  deinit { unsafe martlet_decoder_free(decoder) }

  /// Begins another body.
  ///
  /// - Throws: ``CodingError/noMemory``.
  public func begin() throws(CodingError) {
    (taken, made, isComplete) = (0, 0, false)
    guard unsafe martlet_decoder_begin(decoder) == 0 else { throw .noMemory }
  }

  /// Takes bytes from `offset` on, which moves behind what was taken, and fills `block`.
  ///
  /// - Returns: Whether all was taken; if not, the block is full: it is to be passed on and emptied, and the
  ///   same called again.
  /// - Throws: ``CodingError/malformed``; with ``Push/end`` also when the body is not complete.
  ///   ``CodingError/tooLarge`` beyond ``limits``.
  public func decode(
    _ input: Span<UInt8>,
    from offset: inout Int,
    _ push: Push,
    into block: inout CodedBlock
  ) throws(CodingError) -> Bool {
    let rest = input.extracting(offset..<input.count)
    var took = 0
    var step: Int32 = 0
    let before = block.count
    unsafe block.fill { room in
      var made = 0
      // Safe: both memories live as long as the call, and go with their counts.
      step = unsafe rest.withUnsafeBufferPointer { bytes in
        unsafe martlet_decoder_step(
          decoder,
          bytes.baseAddress,
          bytes.count,
          &took,
          room.baseAddress,
          room.count,
          &made
        )
      }
      return made
    }
    offset += took
    taken += took
    made += block.count - before
    guard limits.allow(made, of: taken) else { throw .tooLarge }
    guard step >= 0 else { throw CodingError(step) }
    if step == martlet_step_full.asStep { return false }
    isComplete = step == martlet_step_ended.asStep
    // A body of no bytes at all is what some send for an empty one.
    if push == .end, !isComplete, taken > 0 { throw .malformed }
    return true
  }

  /// How many bytes of memory it holds, roughly.
  public var byteCount: Int { unsafe martlet_decoder_bytes(decoder) }
}
