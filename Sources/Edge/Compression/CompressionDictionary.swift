import CCompression
public import HTTPMessage
import MartletBytes

// Invariant of this file: what a library has prepared belongs to one `CompressionDictionary`, which frees it once;
// the bytes that it reads are those of a call, passed with their count.

/// What a dictionary is named by: the SHA-256 of its bytes.
///
/// - Source: RFC 9842, section 2.2.
public struct DictionaryDigest: Hashable, Sendable {
  /// How many bytes it has.
  public static let byteCount = 32

  private let words: SIMD4<UInt64>

  /// The digest that consists of these bytes; nil: they are not as many.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    var words = SIMD4<UInt64>()
    for (index, byte) in bytes.enumerated() {
      words[index / 8] = words[index / 8] << 8 | UInt64(byte)
    }
    self.words = words
  }

  /// The one that `Available-Dictionary` names; nil: the client has none, or says so in another form.
  public init?(of request: RequestHead, in bytes: Span<UInt8>) {
    guard
      case .bytes(let range)? = request.fields.item(named: Self.fieldName.span, in: bytes),
      let decoded = Base64.decoded(bytes.extracting(range))
    else { return nil }
    self.init(decoded)
  }

  /// The bytes.
  public var bytes: [UInt8] {
    (0..<Self.byteCount).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64(56 - $0 % 8 * 8)) }
  }

  private static let fieldName = Array("available-dictionary".utf8)
}

// @unchecked: nothing changes it once it is there; the libraries only read what they have prepared.
/// Bytes that bodies are coded against, for clients that have the same.
///
/// All loops and threads may share it. It holds no more than what encoders need.
@safe
public final class CompressionDictionary: @unchecked Sendable {
  /// Its name.
  public let digest: DictionaryDigest
  /// The codings that it was prepared for.
  public let codings: [ContentCoding]
  /// How many bytes of memory it holds.
  public let byteCount: Int
  private let prepared: [OpaquePointer]

  /// Prepares bytes for codings, each with the level of its encoders; `digest` must be theirs.
  ///
  /// Takes milliseconds for a megabyte. nil where none of the codings has dictionaries, and without memory.
  public init?(
    _ bytes: [UInt8],
    _ digest: DictionaryDigest,
    for levels: [(coding: ContentCoding, level: Int)]
  ) {
    var codings: [ContentCoding] = []
    var prepared = unsafe [OpaquePointer]()
    var byteCount = 0
    for (coding, level) in levels where coding.needsDictionary {
      guard let kind = coding.kind else { continue }
      // Safe: the bytes live as long as the call, which copies them.
      guard let new = unsafe martlet_dictionary_new(kind, Int32(level), bytes, bytes.count) else {
        continue
      }
      codings.append(coding)
      unsafe prepared.append(new)
      byteCount += unsafe martlet_dictionary_bytes(new)
    }
    self.digest = digest
    unsafe self.prepared = prepared
    self.codings = codings
    self.byteCount = byteCount
    if codings.isEmpty { return nil }
  }

  deinit {
    for index in unsafe prepared.indices { unsafe martlet_dictionary_free(prepared[index]) }
  }

  /// Whether the library has dictionaries for a coding.
  public static func isSupported(_ coding: ContentCoding) -> Bool {
    guard coding.needsDictionary, let kind = coding.kind else { return false }
    return martlet_has_dictionaries(kind) != 0
  }

  /// Whether the library has dictionaries for Brotli, which came with its version 1.1.
  public static var isBrotliSupported: Bool { isSupported(.dictionaryBrotli) }

  /// What encoders of a coding are given; nil: it was not prepared for that one.
  func pointer(for coding: ContentCoding) -> OpaquePointer? {
    guard let index = codings.firstIndex(of: coding) else { return nil }
    return unsafe prepared[index]
  }

  /// What stands in front of a body that is coded against it.
  ///
  /// - Source: RFC 9842, sections 4 and 5.
  func header(of coding: ContentCoding) -> [UInt8] {
    switch coding {
    case .dictionaryBrotli: [0xFF, 0x44, 0x43, 0x42] + digest.bytes
    // A frame of Zstandard that decoders skip.
    case .dictionaryZstandard: [0x5E, 0x2A, 0x4D, 0x18, 0x20, 0, 0, 0] + digest.bytes
    case .identity, .gzip, .brotli, .zstandard: []
    }
  }
}
