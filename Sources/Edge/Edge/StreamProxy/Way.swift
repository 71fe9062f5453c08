import HTTP1
import Limiting
import MartletLoop
import MartletNet

/// One direction of a ``Relay``.
struct Way: ~Copyable {
  /// How many bytes have passed.
  private(set) var count: UInt64 = 0
  /// Whether nothing passes any more.
  private(set) var isOver = false
  /// Whether something is held that its target has not taken yet.
  private(set) var isHolding = false
  /// Whether the source has ended; its target is told when it has taken what is held.
  private var hasEnded = false
  private var held: Lent?
  /// How much of ``held`` was taken.
  private var sent = 0
  private var pipe: LentPipe?
  private var bulk = Bulk(remaining: 0)
  /// Whether a pipe of the kernel may be used.
  var splices = true
  /// How fast bytes may pass; nil: as they come.
  private var pace: Pace?
  /// The bytes of ``held`` that are booked with the pace, and when they may be sent.
  private var booked = (end: 0, moment: UInt64(0))
  /// Whether the direction waits for the moment at which more may be sent.
  var isPaused = false
  /// Where frames end in what was read; nil: nobody wants to know.
  var frames: WebSocketFrames?

  /// Where a direction has come to.
  enum State {
    /// The source has nothing now.
    case needsInput
    /// The target takes nothing now.
    case needsRoom
    /// Something was read that is sent when all that has come in this turn is read.
    case waits
    /// Much has passed at once, and there may be more: others have their turn.
    case needsTurn
    /// More may be sent at this moment of the loop's clock.
    case needsTime(UInt64)
    /// The source has ended, and its target has taken everything.
    case over
  }

  /// The side that broke.
  enum Failure: Error {
    case source(StreamError)
    case target(StreamError)
  }

  /// What is so short waits for others that have come: whoever gets it is woken once for all of them.
  private static let shortCount = 4096
  /// How many pieces pass until others have their turn.
  private static let pieceCount = 16

  /// Holds bytes that were read before, which pass first.
  ///
  /// Empty ones say that the source has ended.
  mutating func hold(_ bytes: consuming Lent) {
    if bytes.isEmpty {
      hasEnded = true
    } else {
      noteFrames(bytes)
      held = consume bytes
      isHolding = true
    }
  }

  /// Gives what is held to a target that may not be connected yet.
  ///
  /// - Returns: Whether it has taken any of it, so that it is.
  /// - Throws: ``StreamError``: it could not be connected to, and has taken nothing.
  mutating func begin(into target: Stream) throws(StreamError) -> Bool {
    guard let block = held.take() else { return false }
    let taken: Int
    do throws(StreamError) {
      taken = try target.writeNow(block)
    } catch {
      held = consume block
      throw error
    }
    count &+= UInt64(taken)
    isHolding = taken < block.count
    sent = isHolding ? taken : 0
    if isHolding { held = consume block }
    return taken > 0
  }

  /// Drops what is held; nothing passes any more.
  mutating func giveUp() {
    held = nil
    pipe = nil
    isHolding = false
    isOver = true
  }

  /// Passes on what is there, as far as the target takes it.
  ///
  /// - Throws: ``Failure``.
  @inline(__always)
  mutating func pass(
    from source: Stream,
    to target: Stream,
    on loop: EventLoop
  ) throws(Failure) -> State {
    if let pace { return try pass(from: source, to: target, at: pace, now: UInt64(loop.now)) }
    if isHolding, try !flush(into: target) { return .needsRoom }
    if hasEnded { return end() }
    for _ in 0..<Self.pieceCount {
      if bulk.isOn, splices {
        if let state = try splice(from: source, to: target, on: loop) { return state }
        continue
      }
      guard let block = try read(source) else { return .needsInput }
      guard !block.isEmpty else { return end() }
      if frames != nil { noteFrames(block) }
      bulk.took(block)
      // Where the end is known to have come, whatever came before it is there: this was all of it.
      let isLast = block.freeCount > 0 && source.isEnding
      if loop.hasMoreEvents, block.count <= Self.shortCount, !isLast {
        held = consume block
        isHolding = true
        return .waits
      }
      let taken = try write(block, to: target, endsNext: isLast)
      count &+= UInt64(taken)
      if isLast { hasEnded = true }
      guard taken == block.count else {
        held = consume block
        sent = taken
        isHolding = true
        return .needsRoom
      }
      if isLast { return end() }
      if !source.hasEvent { return .needsInput }
    }
    return .needsTurn
  }

  @inline(never)
  private mutating func noteFrames(_ block: borrowing Lent) { frames?.pass(block.bytes) }

  @inline(__always)
  private func read(_ source: Stream) throws(Failure) -> Lent? {
    do throws(StreamError) { return try source.readNow(.head) } catch { throw .source(error) }
  }

  @inline(__always)
  private func write(
    _ block: borrowing Lent,
    to target: Stream,
    endsNext: Bool
  ) throws(Failure) -> Int {
    do throws(StreamError) {
      return try target.writeNow(block, endsNext: endsNext)
    } catch {
      throw .target(error)
    }
  }

  // MARK: At a pace

  /// Slows the direction; further limits slow it further.
  mutating func addLimit(_ table: ByteTable?, _ rate: ByteRate, key: UInt64, freeBytes: UInt64) {
    let pace = pace ?? Pace()
    pace.add(table, rate, key: key, freeBytes: freeBytes)
    self.pace = pace
  }

  /// Passes on what is there in pieces, each at the moment at which it may be sent.
  @inline(never)
  private mutating func pass(
    from source: Stream,
    to target: Stream,
    at pace: Pace,
    now: UInt64
  ) throws(Failure) -> State {
    isHolding = false
    for _ in 0..<Self.pieceCount {
      var block: Lent
      if let rest = held.take() {
        block = rest
      } else {
        if hasEnded { return end() }
        guard let bytes = try read(source) else { return .needsInput }
        guard !bytes.isEmpty else { return end() }
        block = bytes
        (sent, booked) = (0, (0, 0))
      }
      if sent >= booked.end {
        let end = min(sent + pace.pieceBytes, block.count)
        booked = (end, pace.book(end - sent, at: now))
      }
      guard booked.moment <= now else {
        held = consume block
        return .needsTime(booked.moment)
      }
      let taken = try write(block, sent..<booked.end, to: target)
      count &+= UInt64(taken)
      sent += taken
      let isFull = sent < booked.end
      if sent < block.count { held = consume block }
      if isFull {
        isHolding = true
        return .needsRoom
      }
    }
    return .needsTurn
  }

  private func write(
    _ block: borrowing Lent,
    _ range: Range<Int>,
    to target: Stream
  ) throws(Failure) -> Int {
    do throws(StreamError) {
      return try target.writeNow(block.bytes.extracting(range))
    } catch {
      throw .target(error)
    }
  }

  private mutating func end() -> State {
    isOver = true
    return .over
  }

  /// Sends what is held; returns whether that was all.
  private mutating func flush(into target: Stream) throws(Failure) -> Bool {
    do throws(StreamError) {
      if let block = held.take() {
        let taken = try target.writeNow(block, from: sent)
        count &+= UInt64(taken)
        sent += taken
        if sent < block.count {
          held = consume block
          return false
        }
        sent = 0
      }
      if var full = pipe.take() {
        guard try write(&full, to: target) else {
          pipe = consume full
          return false
        }
      }
      isHolding = false
      return true
    } catch {
      throw .target(error)
    }
  }

  /// Passes a piece through a pipe.
  ///
  /// - Returns: nil when that is done, or there was no pipe.
  private mutating func splice(
    from source: Stream,
    to target: Stream,
    on loop: EventLoop
  ) throws(Failure) -> State? {
    guard target.passesPipes else {
      splices = false
      return nil
    }
    guard source.hasEvent else { return .needsInput }
    guard var full = loop.lendPipe() else {
      bulk.took(0)
      return nil
    }
    do throws(StreamError) {
      guard let moved = try source.readNow(into: &full, upTo: .max) else { return .needsInput }
      if moved == 0 { return end() }
      bulk.took(moved)
    } catch {
      guard error.isNotSupported else { throw .source(error) }
      splices = false
      return nil
    }
    do throws(StreamError) {
      if try write(&full, to: target) { return nil }
    } catch {
      throw .target(error)
    }
    pipe = consume full
    isHolding = true
    return .needsRoom
  }

  private mutating func write(
    _ full: inout LentPipe,
    to target: Stream
  ) throws(StreamError) -> Bool {
    let before = full.count
    defer { count &+= UInt64(before - full.count) }
    return try target.writeNow(&full)
  }
}
