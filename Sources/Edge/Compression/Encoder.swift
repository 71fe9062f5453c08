import CCompression
public import HTTPMessage

// Invariant of this file: an encoder of the library belongs to one `Encoder`, which frees it once; the bytes
// that it reads and writes are those of a call, passed with their counts.

/// A content coding.
public typealias ContentCoding = AcceptedCodings.Coding

/// Why a body cannot be coded or decoded.
public enum CodingError: Error, Hashable, Sendable {
  /// It is not what its coding says, or ends too early.
  case malformed
  /// It would become larger than it may.
  case tooLarge
  /// There is no memory.
  case noMemory
}

/// What is wanted of an encoder besides taking bytes.
public enum Push: Int32, Sendable {
  /// Nothing: it may keep what it likes until more comes.
  case more
  /// That whoever decodes has everything that was taken.
  case flush
  /// That the body ends.
  case end
}

/// How far back an encoder looks for what it has seen before, and so how much memory it takes.
public enum CodingWindow: Int, CaseIterable, Sendable {
  /// For bodies of at most 4 KB.
  case small
  /// For bodies of at most 16 KB.
  case medium
  /// For longer ones, and those of which the length is not known.
  case large
  /// For bodies that are coded against a dictionary and have up to 1 MB, or nobody knows how many bytes.
  case wide
  /// For longer ones.
  case widest

  /// The window for a body of this length; nil: it is not known.
  public init(length: Int?) {
    switch length {
    case .some(...4096): self = .small
    case .some(...16_384): self = .medium
    default: self = .large
    }
  }

  /// The window for a body that is coded against a dictionary, which Zstandard forgets behind the end of its window;
  /// nil: its length is not known.
  init(lengthWithDictionary length: Int?) {
    switch length {
    case .some(...131_072): self = .large
    case .some(1_048_577...): self = .widest
    default: self = .wide
    }
  }

  /// The window as a power of two.
  ///
  /// 32 KB is the most that gzip can do, and the others take 256 and 128 KB where they could take more than ever
  /// pays for pages. 8 MB is what each client can take.
  func bits(of coding: ContentCoding) -> Int32 {
    switch (self, coding) {
    case (.small, .gzip): 12
    case (.medium, .gzip): 14
    case (.large, .gzip), (.wide, .gzip), (.widest, .gzip): 15
    case (.small, _): 12
    case (.medium, _): 14
    case (.large, .brotli), (.large, .dictionaryBrotli): 18
    case (.large, _): 17
    case (.wide, _): 20
    case (.widest, _): 23
    }
  }
}

/// Codes one body after the other.
///
/// It belongs to one thread at a time.
@safe
public final class Encoder {
  /// The coding.
  public let coding: ContentCoding
  /// How much it tries, from 1 on.
  public let level: Int
  /// How far back it looks.
  public let window: CodingWindow
  private let encoder: OpaquePointer
  /// What the body is coded against, which has to live as long.
  private var dictionary: CompressionDictionary?

  /// Creates an encoder; ``begin(length:)`` comes next.
  ///
  /// nil for identity, for a level that the coding has not, and without memory.
  public init?(_ coding: ContentCoding, level: Int, window: CodingWindow) {
    guard Self.levels(of: coding).contains(level), let kind = coding.kind else { return nil }
    guard let encoder = unsafe martlet_encoder_new(kind, Int32(level), window.bits(of: coding))
    else { return nil }
    self.coding = coding
    self.level = level
    self.window = window
    unsafe self.encoder = encoder
  }

  deinit { unsafe martlet_encoder_free(encoder) }

  /// The levels of a coding.
  public static func levels(of coding: ContentCoding) -> ClosedRange<Int> {
    switch coding {
    case .identity: 0...0
    case .gzip: 1...9
    case .brotli: 1...9
    // Below, dictionaries are not looked at.
    case .dictionaryBrotli: 5...9
    // Beyond these it takes windows and memory that no answer is worth.
    case .zstandard, .dictionaryZstandard: 1...15
    }
  }

  /// Begins another body, of which nothing was taken yet; a length that is given must be true.
  ///
  /// A coding that needs a dictionary must have one that was prepared for it. What stands in front of such a body is
  /// not written.
  ///
  /// - Throws: ``CodingError/noMemory``.
  public func begin(
    length: Int?,
    against dictionary: CompressionDictionary? = nil
  ) throws(CodingError) {
    let length = length.map { UInt64($0) } ?? .max
    let prepared = unsafe dictionary?.pointer(for: coding)
    precondition((unsafe prepared != nil) == coding.needsDictionary, "a coding has its dictionary")
    let step = unsafe martlet_encoder_begin(encoder, length, prepared)
    // The one before is needed until now.
    self.dictionary = dictionary
    guard step == 0 else { throw .noMemory }
  }

  /// Takes bytes from `offset` on, which moves behind what was taken, and fills `block`.
  ///
  /// - Returns: Whether all was taken and done that was wanted; if not, the block is full: it is to be passed
  ///   on and emptied, and the same called again.
  /// - Throws: ``CodingError`` when the length was not true, or without memory.
  public func encode(
    _ input: Span<UInt8>,
    from offset: inout Int,
    _ push: Push,
    into block: inout CodedBlock
  ) throws(CodingError) -> Bool {
    let rest = input.extracting(offset..<input.count)
    var taken = 0
    var step: Int32 = 0
    unsafe block.fill { room in
      var made = 0
      // Safe: both memories live as long as the call, and go with their counts.
      step = unsafe rest.withUnsafeBufferPointer { bytes in
        unsafe martlet_encoder_step(
          encoder,
          push.rawValue,
          bytes.baseAddress,
          bytes.count,
          &taken,
          room.baseAddress,
          room.count,
          &made
        )
      }
      return made
    }
    offset += taken
    guard step >= 0 else { throw CodingError(step) }
    return step == martlet_step_done.asStep
  }

  /// How many bytes of memory it holds.
  public var byteCount: Int { unsafe martlet_encoder_bytes(encoder) }
}

extension ContentCoding {
  /// What the library calls it; nil for no coding.
  var kind: Int32? {
    switch self {
    case .identity: nil
    case .gzip: martlet_coding_gzip.asStep
    case .brotli, .dictionaryBrotli: martlet_coding_brotli.asStep
    case .zstandard, .dictionaryZstandard: martlet_coding_zstd.asStep
    }
  }
}

extension CodingError {
  init(_ step: Int32) {
    self = step == martlet_step_no_memory.asStep ? .noMemory : .malformed
  }
}

extension BinaryInteger {
  /// The constant as steps are told.
  var asStep: Int32 { Int32(truncatingIfNeeded: self) }
}
