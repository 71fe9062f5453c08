public import HTTPMessage

// @unchecked: one thread uses it at a time. Whoever hands it to another thread waits for that one's end before
// touching it again, and lets go of it for ever if it cannot wait.
/// A body on its way through an encoder or a decoder: what waits to be taken, and what came out.
///
/// Small writes are gathered, so that a coder is called for some kilobytes at a time; long work can be done by
/// another thread, for everything that it needs is in here.
public final class BodyCoder: @unchecked Sendable {
  private enum Machine {
    case encoder(Encoder)
    case decoder(Decoder)
  }

  /// What a call of ``run(_:)`` has come to.
  public enum Outcome: Hashable, Sendable {
    /// All that was put in was taken, and what was wanted is done.
    case done
    /// ``output`` is to be passed on first.
    case full
    /// The body cannot be coded.
    case failed(CodingError)
  }

  /// What makes two coders the same for a body that is to come.
  public struct Kind: Hashable, Sendable {
    /// Its coding.
    public let coding: ContentCoding
    /// The level; 0 for a decoder.
    public let level: Int
    /// How far back it looks.
    public let window: CodingWindow

    /// Creates the kind of an encoder, or with level 0 that of a decoder.
    public init(_ coding: ContentCoding, level: Int, length: Int?) {
      self.coding = coding
      self.level = level
      // Only gzip has its window for life, and Zstandard the memory that a large one takes.
      switch coding {
      case .gzip where level > 0: window = CodingWindow(length: length)
      case .dictionaryZstandard: window = CodingWindow(lengthWithDictionary: length)
      default: window = .large
      }
    }
  }

  /// How many bytes a coder of this kind takes before they have to be coded.
  ///
  /// A page is coded best without a break: meanwhile another one drives the tables that it needs out of the
  /// processor's caches.
  static func inputBytes(of kind: Kind) -> Int {
    kind.level > 0 && kind.window.rawValue >= CodingWindow.large.rawValue ? 128 << 10 : 32 << 10
  }
  /// How many bytes come out at a time.
  public static let outputBytes = 34 << 10

  /// What it is good for.
  public let kind: Kind
  private let machine: Machine
  private var input: CodedBlock
  /// How much of it was taken by the machine.
  private var start = 0
  /// What came out and was not passed on yet.
  public var output = CodedBlock(capacity: outputBytes)
  /// How many bytes were put in.
  public private(set) var takenCount: UInt64 = 0

  /// Creates a coder; ``begin(length:limits:)`` comes next.
  ///
  /// nil without memory.
  public init?(_ kind: Kind) {
    self.kind = kind
    input = CodedBlock(capacity: Self.inputBytes(of: kind))
    if kind.level > 0 {
      guard let encoder = Encoder(kind.coding, level: kind.level, window: kind.window) else {
        return nil
      }
      machine = .encoder(encoder)
    } else {
      guard let decoder = Decoder(kind.coding) else { return nil }
      machine = .decoder(decoder)
    }
  }

  /// Begins a body, for whose decoding `limits` count; a length that is given must be true.
  ///
  /// What names the `dictionary` that it is coded against comes out first.
  ///
  /// - Throws: ``CodingError/noMemory``.
  public func begin(
    length: Int?,
    limits: DecodingLimits = DecodingLimits(),
    against dictionary: CompressionDictionary? = nil
  ) throws(CodingError) {
    (start, takenCount) = (0, 0)
    input.removeAll()
    output.removeAll()
    switch machine {
    case .encoder(let encoder):
      try encoder.begin(length: length, against: dictionary)
      if let dictionary { output.append(dictionary.header(of: kind.coding).span) }
    case .decoder(let decoder):
      decoder.limits = limits
      try decoder.begin()
    }
  }

  /// Whether it has no room for more.
  public var isFull: Bool { input.freeCount == 0 }

  /// How many bytes wait to be coded.
  public var inputCount: Int { input.count - start }

  /// Puts in what there is room for.
  ///
  /// - Returns: How many bytes.
  public func take(_ bytes: Span<UInt8>) -> Int {
    if start == input.count {
      input.removeAll()
      start = 0
    }
    let count = input.take(bytes)
    takenCount += UInt64(count)
    return count
  }

  /// Codes what was put in.
  ///
  /// The whole of it may take some milliseconds.
  public func run(_ push: Push) -> Outcome {
    let storage = input.storage
    let bytes = storage.span.extracting(0..<input.count)
    do throws(CodingError) {
      let isDone: Bool
      switch machine {
      case .encoder(let encoder):
        isDone = try encoder.encode(bytes, from: &start, push, into: &output)
      case .decoder(let decoder):
        isDone = try decoder.decode(bytes, from: &start, push, into: &output)
      }
      return isDone ? .done : .full
    } catch {
      return .failed(error)
    }
  }

  /// How many bytes of memory it holds.
  public var byteCount: Int {
    let own = input.capacity + Self.outputBytes
    switch machine {
    case .encoder(let encoder): return own + encoder.byteCount
    case .decoder(let decoder): return own + decoder.byteCount
    }
  }

  /// Roughly how many bytes of memory a coder of this kind will hold.
  public static func byteCount(of kind: Kind) -> Int {
    let own = inputBytes(of: kind) + outputBytes
    switch (kind.coding, kind.level) {
    case (.gzip, 1...): return own + (kind.window == .large ? 272 << 10 : 136 << 10)
    case (.zstandard, 1...3): return own + 1792 << 10
    case (.zstandard, 4...): return own + 4096 << 10
    case (.dictionaryZstandard, _):
      let window = kind.window == .widest ? 8192 : kind.window == .wide ? 1024 : 128
      return own + (window + (kind.level > 3 ? 9216 : 1664)) << 10
    case (.brotli, 1...9), (.dictionaryBrotli, 1...9):
      // Its tables grow with the level, from 7 on to twice the size each.
      let sizes = [0, 512, 1536, 1536, 4352, 5504, 6144, 12_544, 20_736, 39_424]
      return own + sizes[kind.level] << 10
    default: return own + 256 << 10
    }
  }
}
