/// How often keys were asked for lately: roughly, in half a byte for each of four places that a key has.
///
/// Counts go up to 15 and are halved from time to time, so that what was liked long ago is forgotten.
///
/// - Source: Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017.
public struct FrequencySketch: Sendable {
  /// Sixteen counts of four bits in each word: four rows with four counts.
  private var words: [UInt64]
  private var additionCount = 0
  /// How many additions there are between two halvings.
  private var period: Int

  /// The highest count.
  public static let most = 15
  // Additions for each key that there is room for until counts are halved.
  private static let additionsPerKey = 10
  private static let leastWords = 64
  private static let mostWords = 1 << 20

  /// Creates a sketch for about so many keys.
  public init(keyCount: Int) {
    let count = Self.wordCount(for: keyCount)
    words = Array(repeating: 0, count: count)
    period = count * Self.additionsPerKey
  }

  private static func wordCount(for keyCount: Int) -> Int {
    var count = leastWords
    while count < keyCount, count < mostWords { count *= 2 }
    return count
  }

  /// How many keys it is made for.
  public var keyCount: Int { words.count }

  /// Makes room for more keys; what was counted is forgotten if that is needed.
  public mutating func grow(toKeyCount keyCount: Int) {
    guard Self.wordCount(for: keyCount) > words.count else { return }
    self = FrequencySketch(keyCount: keyCount)
  }

  /// Counts that the key with this word was asked for.
  public mutating func add(_ key: UInt64) {
    var isCounted = false
    for row in 0..<4 {
      let place = place(of: key, in: row)
      guard words[place.word] >> place.shift & 15 < 15 else { continue }
      words[place.word] &+= 1 << place.shift
      isCounted = true
    }
    guard isCounted else { return }
    additionCount += 1
    if additionCount >= period { halve() }
  }

  /// How often the key with this word was asked for, at most ``most``; never less than it was since counts
  /// were halved.
  public func frequency(of key: UInt64) -> Int {
    var least: UInt64 = 15
    for row in 0..<4 {
      let place = place(of: key, in: row)
      least = min(least, words[place.word] >> place.shift & 15)
    }
    return Int(least)
  }

  private mutating func halve() {
    for index in words.indices { words[index] = words[index] >> 1 & 0x7777_7777_7777_7777 }
    additionCount /= 2
  }

  private func place(of key: UInt64, in row: Int) -> (word: Int, shift: UInt64) {
    // A different odd factor for each row, of the digits of pi and of the golden ratio.
    let factor: UInt64 =
      switch row {
      case 0: 0x9E37_79B9_7F4A_7C15
      case 1: 0xC2B2_AE3D_27D4_EB4F
      case 2: 0x1656_67B1_9E37_79F9
      default: 0x2437_54A3_85A3_08D3
      }
    var mixed = (key ^ factor) &* factor
    mixed ^= mixed >> 32
    let word = Int(truncatingIfNeeded: mixed & UInt64(words.count - 1))
    return (word, (UInt64(row) * 4 + mixed >> 40 & 3) * 4)
  }
}
