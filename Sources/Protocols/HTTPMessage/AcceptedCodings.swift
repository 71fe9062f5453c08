import MartletBytes

/// The content codings that a client takes, with how much it likes each.
///
/// - Source: RFC 9110, section 12.5.3.
public struct AcceptedCodings: Hashable, Sendable {
  /// A content coding.
  public enum Coding: UInt8, CaseIterable, Sendable {
    /// No coding.
    case identity
    /// gzip, RFC 1952.
    case gzip
    /// Brotli, RFC 7932.
    case brotli
    /// Zstandard, RFC 8878.
    case zstandard
    /// Brotli against a dictionary that the client has, RFC 9842, section 4.
    case dictionaryBrotli
    /// Zstandard against a dictionary that the client has, RFC 9842, section 5.
    case dictionaryZstandard

    /// The coding's name as fields have it.
    public var name: StaticString {
      switch self {
      case .identity: "identity"
      case .gzip: "gzip"
      case .brotli: "br"
      case .zstandard: "zstd"
      case .dictionaryBrotli: "dcb"
      case .dictionaryZstandard: "dcz"
      }
    }

    /// Whether it needs a dictionary.
    public var needsDictionary: Bool {
      switch self {
      case .identity, .gzip, .brotli, .zstandard: false
      case .dictionaryBrotli, .dictionaryZstandard: true
      }
    }

    private static let names: [(Coding, [UInt8])] =
      allCases.map { ($0, Array($0.name.description.utf8)) } + [(.gzip, Array("x-gzip".utf8))]

    /// The coding with this name, in any case.
    public init?(_ name: Span<UInt8>) {
      for (coding, known) in Self.names where equalIgnoringCase(known.span, name) {
        self = coding
        return
      }
      return nil
    }
  }

  /// By raw value, in thousandths; −1: not named.
  private var weights = SIMD8<Int16>(repeating: -1)
  private var others: Int16 = -1

  /// What a client takes that does not say so: no coding, to be safe.
  public init() {}

  /// Reads all `Accept-Encoding` fields of a request.
  ///
  /// - Complexity: O(*n*) in their bytes, with no allocation.
  public init(of request: RequestHead, in bytes: Span<UInt8>) {
    for line in request.fields where line.name == .acceptEncoding {
      read(bytes, line.valueRange.range)
    }
  }

  /// Reads one value.
  public init(_ value: Span<UInt8>) { read(value, 0..<value.count) }

  private mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    var elements = ListElements(range)
    while let element = elements.next(in: bytes) {
      let weighted = WeightedElement(bytes, element)
      let name = bytes.extracting(weighted.name)
      // What cannot be read is not taken.
      let weight = Int16(weighted.weight ?? 0)
      if let coding = Coding(name) {
        weights[Int(coding.rawValue)] = weight
      } else if name.count == 1, name[0] == 0x2A {
        others = weight
      }
    }
  }

  /// How much the client likes a coding, 0 to 1000; 0: it does not take it.
  ///
  /// No coding at all is taken unless it is refused, yet less gladly than any that is named. One that needs a
  /// dictionary is taken only by name, for `*` says nothing of what a client has.
  public func weight(of coding: Coding) -> Int {
    let own = weights[Int(coding.rawValue)]
    if own >= 0 { return Int(own) }
    if coding == .identity { return others == 0 ? 0 : 1 }
    if coding.needsDictionary { return 0 }
    return Int(max(0, others))
  }
}

/// One element of a list whose elements have weights: `text/html;level=1;q=0.5`.
///
/// - Source: RFC 9110, section 12.4.2.
public struct WeightedElement: Sendable {
  /// Where the element lies without its parameters.
  public let name: Range<Int>
  /// Its weight in thousandths, 1000 where it has none; nil: it breaks the grammar.
  public let weight: Int?

  /// Reads the element that lies in `range` of `bytes`.
  public init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    var end = range.lowerBound
    while end < range.upperBound, bytes[end] != 0x3B { end += 1 }
    name = HTTPGrammar.trimmed(range.lowerBound..<end, in: bytes)
    var weight: Int? = 1000
    var offset = end
    while offset < range.upperBound {
      let start = offset + 1
      offset = start
      while offset < range.upperBound, bytes[offset] != 0x3B { offset += 1 }
      let parameter = HTTPGrammar.trimmed(start..<offset, in: bytes)
      guard parameter.count >= 2, bytes[parameter.lowerBound] | 0x20 == 0x71,
        bytes[parameter.lowerBound + 1] == 0x3D
      else { continue }
      weight = Self.weight(bytes, parameter.lowerBound + 2..<parameter.upperBound)
    }
    self.weight = weight
  }

  /// `0`, `0.25`, `1.000`: at most three digits behind the point.
  private static func weight(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard 1...5 ~= range.count, bytes[range.lowerBound] & 0xFE == 0x30 else { return nil }
    var weight = Int(bytes[range.lowerBound] - 0x30) * 1000
    guard range.count > 1 else { return weight }
    guard bytes[range.lowerBound + 1] == 0x2E else { return nil }
    var factor = 100
    for index in range.dropFirst(2) {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return nil }
      weight += Int(digit) * factor
      factor /= 10
    }
    return weight <= 1000 ? weight : nil
  }
}
