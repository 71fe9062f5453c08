/// What went wrong with the tries of one exchange, and what became of its hedge: one word.
///
/// It keeps the first four failures and counts the others.
public struct TryTrail: Hashable, Sendable {
  /// What became of a second request to another member.
  public enum Hedge: UInt8, Sendable {
    /// There was none.
    case none
    /// The first member's answer was passed on.
    case lost
    /// The second member's answer was passed on.
    case won

    /// Its word for logs; empty where there was none.
    public var word: String {
      switch self {
      case .none: ""
      case .lost: "lost"
      case .won: "won"
      }
    }
  }

  /// The most failures that are told apart.
  public static let kept = 4

  // From the lowest bit: four failures of 11 bits (class 3, status less 400 in 8), their number in 8,
  // the hedge in 2.
  private var word: UInt64 = 0

  /// Creates a trail on which nothing happened.
  public init() {}

  /// Whether nothing happened.
  public var isEmpty: Bool { word == 0 }

  /// How many tries have failed, 255 at most.
  public var count: Int { Int(word >> 44 & 255) }

  /// What became of the hedge.
  public var hedge: Hedge {
    get { Hedge(rawValue: UInt8(word >> 52 & 3)) ?? .none }
    set { word = word & ~(3 << 52) | UInt64(newValue.rawValue) << 52 }
  }

  /// Adds a failure.
  public mutating func add(_ failure: TryFailure) {
    let count = self.count
    if count < Self.kept {
      let status = failure.kind == .status ? UInt64(failure.status &- 400) & 255 : 0
      word |= (UInt64(failure.kind.rawValue) | status << 3) << UInt64(count * 11)
    }
    word = word & ~(255 << 44) | UInt64(min(count + 1, 255)) << 44
  }

  /// The failures in order, as `reset connect_failed 503`; `+2` behind them: two more.
  public var text: String {
    var words: [String] = []
    for place in 0..<min(count, Self.kept) {
      let entry = word >> UInt64(place * 11) & 0x7FF
      let kind = FailureClass(rawValue: UInt8(entry & 7)) ?? .reset
      words.append(kind == .status ? String(entry >> 3 + 400) : kind.word)
    }
    if count > Self.kept { words.append("+\(count - Self.kept)") }
    return words.joined(separator: " ")
  }
}
