import MartletLoop

/// Lets the coroutines of one loop do something one after the other, in the order in which they came.
final class Turns {
  private let loop: EventLoop
  private var isTaken = false
  private var waiting: [Signal] = []

  init(on loop: EventLoop) { self.loop = loop }

  /// Waits for the turn, which ``giveBack()`` ends.
  func take() async {
    guard isTaken else {
      isTaken = true
      return
    }
    guard let signal = Signal(on: loop) else {
      // No timer is left: look again and again.
      while isTaken { await loop.yield() }
      isTaken = true
      return
    }
    waiting.append(signal)
    // The turn is handed over, so that nobody comes between.
    await signal.untilSet()
  }

  /// Ends the turn.
  func giveBack() {
    if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().set() }
  }
}
