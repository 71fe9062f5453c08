import MartletLoop
import MartletSystem
import Testing
import TestLoop

private struct Broken: Error {}

/// A wait without an end of its own, and how it came to one.
private func untilCancelled(_ loop: EventLoop, _ notes: Notes, _ name: String) async throws {
  do {
    try await loop.sleep(until: .never)
  } catch {
    notes.lines.append("\(name) \(error)")
    throw error
  }
}

@Suite("Coroutines that are waited for", .timeLimit(.minutes(5)))
struct LoopTaskTests {
  static let modes = CoroutineTests.modes

  /// A loop, what is noted on it, and a body that runs there until it waits.
  private func driven(
    _ mode: EventLoop.WaitMode,
    _ body: @escaping (EventLoop, Notes) async throws -> Void
  ) throws -> (DrivenLoop, Notes) {
    let (driven, notes) = (try DrivenLoop(mode), Notes())
    let loop = driven.loop
    driven.start {
      do { try await body(loop, notes) } catch { notes.lines.append("threw \(error)") }
    }
    // Each yield takes a turn.
    for _ in 0..<8 { driven.settle() }
    return (driven, notes)
  }

  @Test("give what they return, or throw what they throw", arguments: modes)
  func results(mode: EventLoop.WaitMode) throws {
    let (_, notes) = try driven(mode) { loop, notes in
      notes.lines.append(try await loop.start { "one" }.result())
      let slow = loop.start { () async throws -> String in
        await loop.yield()
        return "two"
      }
      notes.lines.append(try await slow.result())
      notes.lines.append(try await slow.result())
      try await loop.start { throw Broken() }.result()
    }
    #expect(notes.lines == ["one", "two", "two", "threw Broken()"])
  }

  @Test("are cancelled where they wait, before they run, and at their next wait", arguments: modes)
  func cancelling(mode: EventLoop.WaitMode) throws {
    let (_, notes) = try driven(mode) { loop, notes in
      let waiting = loop.start { try await untilCancelled(loop, notes, "waiting") }
      await loop.yield()
      let young = loop.start { try await untilCancelled(loop, notes, "young") }
      let busy = loop.start { () async throws in
        young.cancel()
        waiting.cancel()
        notes.lines.append("cancelled: \(Task.isCancelled)")
      }
      try await busy.result()
      for task in [waiting, young] {
        do { try await task.result() } catch { notes.lines.append("\(error)") }
      }
    }
    #expect(
      notes.lines.sorted() == [
        "cancelled", "cancelled", "cancelled: false", "waiting cancelled", "young cancelled",
      ]
    )
  }

  @Test("can wait once more when they were cancelled, to put things in order", arguments: modes)
  func cleaning(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      let task = loop.start { () async throws in
        do { try await untilCancelled(loop, notes, "first") } catch {}
        #expect(Task.isCancelled)
        try await loop.sleep(for: .seconds(1))
        notes.lines.append("in order")
      }
      await loop.yield()
      task.cancel()
      try await task.result()
      task.cancel()
    }
    #expect(notes.lines == ["first cancelled"])
    driven.advance(by: .seconds(2))
    #expect(notes.lines == ["first cancelled", "in order"])
    #expect(driven.loop.coroutineViews().isEmpty)
  }

  @Test("are cancelled when they take too long, and the caller waits for that", arguments: modes)
  func timeouts(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      notes.lines.append(try await loop.withTimeout(.seconds(5)) { "in time" })
      let kept = try await loop.withTimeout(.seconds(5)) { () async throws -> String in
        do { try await loop.sleep(until: .never) } catch { return "all the same" }
        return "never"
      }
      notes.lines.append(kept)
      try await loop.withTimeout(.seconds(5)) { try await untilCancelled(loop, notes, "late") }
    }
    #expect(notes.lines == ["in time"])
    driven.advance(by: .seconds(6))
    #expect(notes.lines == ["in time", "all the same"])
    driven.advance(by: .seconds(4))
    #expect(notes.lines.count == 2)
    driven.advance(by: .seconds(2))
    #expect(notes.lines.suffix(2) == ["late cancelled", "threw timedOut"])
  }

  @Test("are cancelled with the one that waits for them", arguments: modes)
  func nesting(mode: EventLoop.WaitMode) throws {
    let (_, notes) = try driven(mode) { loop, notes in
      let outer = loop.start { () async throws in
        try await loop.withTimeout(.seconds(60)) {
          try await loop.start { try await untilCancelled(loop, notes, "inner") }.result()
        }
      }
      await loop.yield()
      await loop.yield()
      outer.cancel()
      try await outer.result()
    }
    #expect(notes.lines == ["inner cancelled", "threw cancelled"])
  }

  // MARK: Some at a time

  @Test("deal with a sequence, no more at a time than they may", arguments: modes)
  func limits(mode: EventLoop.WaitMode) throws {
    let most = Most()
    let (driven, notes) = try driven(mode) { loop, notes in
      try await loop.forEach(1...7, atMost: 3) { number in
        most.begin()
        try await loop.sleep(for: .seconds(number % 2 == 0 ? 1 : 2))
        most.end()
        notes.lines.append("\(number)")
      }
      notes.lines.append("all")
    }
    for _ in 0..<10 { driven.advance(by: .seconds(1)) }
    #expect(notes.lines.last == "all")
    #expect(notes.lines.dropLast().sorted() == (1...7).map { "\($0)" })
    #expect(most.ever == 3 && most.present == 0)
    #expect(driven.loop.coroutineViews().isEmpty)
  }

  @Test("have results in order, or as soon as they are there", arguments: modes)
  func orders(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      let times = [3, 1, 2]
      func transform(_ seconds: Int) async throws -> String {
        try await loop.sleep(for: .seconds(seconds))
        return "\(seconds)"
      }
      notes.lines.append(try await loop.map(times, atMost: 3, transform).joined(separator: " "))
      for try await text in loop.asCompleted(times, atMost: 3, transform) {
        notes.lines.append(text)
      }
      #expect(try await loop.map([Int](), atMost: 3, transform).isEmpty)
    }
    for _ in 0..<10 { driven.advance(by: .seconds(1)) }
    #expect(notes.lines == ["3 1 2", "1", "2", "3"])
  }

  @Test("end with the first error, which cancels the others", arguments: modes)
  func errors(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      try await loop.forEach(1..., atMost: 3) { number in
        notes.lines.append("began \(number)")
        if number == 2 {
          try await loop.sleep(for: .seconds(1))
          throw Broken()
        }
        try await untilCancelled(loop, notes, "\(number)")
      }
    }
    #expect(notes.lines == ["began 1", "began 2", "began 3"])
    driven.advance(by: .seconds(2))
    #expect(notes.lines.suffix(3).sorted() == ["1 cancelled", "3 cancelled", "threw Broken()"])
    #expect(notes.lines.last == "threw Broken()" && notes.lines.count == 6)
    #expect(driven.loop.coroutineViews().isEmpty)
  }

  @Test("end when the one is cancelled that has begun them", arguments: modes)
  func cancelledWhole(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      let whole = loop.start { () async throws in
        try await loop.forEach(1...2, atMost: 2) { number in
          try await untilCancelled(loop, notes, "\(number)")
        }
      }
      for _ in 0..<4 { await loop.yield() }
      whole.cancel()
      try await whole.result()
    }
    #expect(notes.lines.sorted() == ["1 cancelled", "2 cancelled", "threw cancelled"])
    #expect(driven.loop.coroutineViews().isEmpty)
  }

  // MARK: Generators

  @Test("make an element when it is asked for, and no sooner", arguments: modes)
  func generators(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      let numbers = Generator<Int>(on: loop) { output in
        for number in 1...3 {
          notes.lines.append("make \(number)")
          try await output.yield(number)
        }
        notes.lines.append("made")
      }
      #expect(notes.lines.isEmpty)
      for try await number in numbers {
        notes.lines.append("take \(number)")
        await loop.yield()
      }
      notes.lines.append("taken")
    }
    #expect(
      notes.lines == [
        "make 1", "take 1", "make 2", "take 2", "make 3", "take 3", "made", "taken",
      ]
    )
    #expect(driven.loop.coroutineViews().isEmpty)
  }

  @Test("stop making when nobody reads any more", arguments: modes)
  func closing(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      let numbers = Generator<Int>(on: loop) { output in
        do {
          for number in 1... { try await output.yield(number) }
        } catch {
          notes.lines.append("\(error)")
        }
        // It may not go on either.
        do { try await output.yield(0) } catch { notes.lines.append("\(error)") }
      }
      for try await number in numbers where number == 3 { break }
      notes.lines.append("stopped")
    }
    #expect(notes.lines == ["stopped", "cancelled", "cancelled"])
    #expect(driven.loop.coroutineViews().isEmpty)
  }

  @Test("tell what goes wrong in them once, and end when their reader does", arguments: modes)
  func failing(mode: EventLoop.WaitMode) throws {
    let (driven, notes) = try driven(mode) { loop, notes in
      let reader = Generator<Int>(on: loop) { output in
        try await output.yield(1)
        throw Broken()
      }.makeAsyncIterator()
      notes.lines.append("\(try await reader.next() ?? 0)")
      do { _ = try await reader.next() } catch { notes.lines.append("\(error)") }
      #expect(try await reader.next() == nil)
      // One fails while the reader deals with the result of another.
      let results = loop.asCompleted([0, 1], atMost: 2) { number in
        if number == 1 { throw Broken() }
        return number
      }
      do {
        for try await number in results {
          notes.lines.append("\(number)")
          for _ in 0..<4 { await loop.yield() }
        }
      } catch {
        notes.lines.append("\(error)")
      }
      let slow = Generator<Int>(on: loop) { _ in try await untilCancelled(loop, notes, "slow") }
      let task = loop.start { () async throws in for try await _ in slow {} }
      for _ in 0..<4 { await loop.yield() }
      task.cancel()
      try await task.result()
    }
    #expect(
      notes.lines == [
        "1", "Broken()", "0", "Broken()", "slow cancelled", "threw cancelled",
      ]
    )
    #expect(driven.loop.coroutineViews().isEmpty)
  }
}

/// How many are at it, and the most that ever were.
private final class Most {
  private(set) var present = 0
  private(set) var ever = 0

  func begin() {
    present += 1
    ever = max(ever, present)
  }

  func end() { present -= 1 }
}
