import MartletBytes
import MartletLoop

/// What was passed on of a request's body behind its head's buffer, so that it can be sent again.
final class Replay {
  private let limit: Int
  /// The data in order, without framing.
  private(set) var bytes: [UInt8] = []
  /// Whether nothing is missing.
  private(set) var isComplete = true
  /// What was read, and not taken yet, when an upload was cut short.
  private var rest: Lent?

  init(limit: Int) { self.limit = limit }

  /// The same bytes for another exchange; nothing is added to them.
  var copy: Replay {
    let copy = Replay(limit: bytes.count)
    copy.bytes = bytes
    return copy
  }

  /// Keeps a part; one that is too long makes the whole incomplete, and nothing is kept from there on.
  func keep(_ part: Span<UInt8>) {
    guard isComplete else { return }
    guard bytes.count + part.count <= limit else {
      isComplete = false
      bytes = []
      return
    }
    bytes.append(copying: part)
  }

  /// Keeps what an upload leaves behind.
  func keepRest(_ block: consuming Lent) {
    if !block.isEmpty { rest = consume block }
  }

  /// What an upload has left behind.
  func takeRest() -> Lent? { rest.take() }
}
