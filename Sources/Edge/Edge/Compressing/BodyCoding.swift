import Compression
import HTTPMessage
import MartletSystem

/// The body of an answer on its way through a coder.
final class BodyCoding {
  let coder: BodyCoder
  let plan: CompressionPlan
  /// The answer's head without what says how the body ends, and without the empty line.
  let head: [UInt8]
  /// Whether everything is to go on at once, because nobody knows when more comes.
  let flushes: Bool
  /// The lines behind the last chunk.
  var trailers: [UInt8] = []
  var isHeadSent = false
  /// Whether what comes next is the last of it.
  var isEnding = false
  /// What the body is of, if that stays the same; and what was made of it, as long as that is to be kept.
  let source: AnyObject?
  private var made: [UInt8] = []
  private var keptLimit: Int
  /// What the body is coded against; nil: nothing.
  let dictionary: CompressionDictionary?
  /// What is noted of the body, for later ones to be coded against; nil: nothing.
  let lesson: DictionaryLesson?
  /// Whether the body is over.
  var isFinished = false
  /// Whether another thread may still use the coder.
  private(set) var isLost = false
  /// How many bytes came out, and how long that took.
  var madeCount: UInt64 = 0
  private(set) var nanoseconds: UInt64 = 0
  /// Whether the body is longer than a loop is to be held for.
  private let isLong: Bool

  init(
    _ coder: BodyCoder,
    _ plan: CompressionPlan,
    head: [UInt8],
    length: Int?,
    flushes: Bool,
    source: AnyObject? = nil,
    keptLimit: Int = 0,
    against dictionary: CompressionDictionary? = nil,
    lesson: DictionaryLesson? = nil
  ) {
    self.dictionary = dictionary
    self.lesson = lesson
    self.source = source
    self.keptLimit = source == nil ? 0 : keptLimit
    self.coder = coder
    self.plan = plan
    self.head = head
    self.flushes = flushes
    isLong = (length ?? 0) > Self.shortBytes
  }

  /// A body that is coded without a thread; of a longer one the beginning is.
  static let shortBytes = 32 << 10

  /// Events that are sent one by one are coded without a thread, however many they are.
  private static let eventBytes = 8 << 10

  /// Whether what is to be coded next is for another thread.
  func needsThread(for push: Push) -> Bool {
    guard isLong || coder.takenCount > UInt64(Self.shortBytes) else { return false }
    return push != .flush || coder.inputCount > Self.eventBytes
  }

  /// Puts in what there is room for.
  ///
  /// - Returns: How many bytes.
  func take(_ bytes: Span<UInt8>) -> Int {
    let count = coder.take(bytes)
    lesson?.take(bytes.extracting(0..<count))
    return count
  }

  /// Notes what came out and goes on.
  func noteMade() {
    let count = coder.output.count
    madeCount += UInt64(count)
    guard keptLimit > 0 else { return }
    if made.count + count > keptLimit {
      keptLimit = 0
      made = []
    } else {
      made += coder.output.storage[..<count]
    }
  }

  /// What was made of the source; nil: it is not to be kept.
  var keptBody: [UInt8]? {
    isFinished && keptLimit > 0 && !made.isEmpty ? made : nil
  }

  /// Says that another thread may still use the coder.
  func lose() { isLost = true }

  /// Codes what was put in, on this thread.
  func run(_ push: Push) -> BodyCoder.Outcome {
    note(TimedOutcome(coder, push))
  }

  /// Notes what coding has come to, here or elsewhere.
  func note(_ result: TimedOutcome) -> BodyCoder.Outcome {
    nanoseconds &+= UInt64(max(0, result.nanoseconds))
    return result.outcome
  }
}

/// What coding has come to, and how long it took.
struct TimedOutcome: Sendable {
  let outcome: BodyCoder.Outcome
  let nanoseconds: Int64

  /// Codes what was put in.
  init(_ coder: BodyCoder, _ push: Push) {
    let start = SystemClock.monotonicNanoseconds()
    outcome = coder.run(push)
    nanoseconds = SystemClock.monotonicNanoseconds() - start
  }
}
