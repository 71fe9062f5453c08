import Limiting
import Synchronization
import Testing

@Suite("Things under way")
struct UseTableTests {
  @Test("are as many as may be, and another one when one has left")
  func limit() throws {
    let table = UseTable(keyCount: 16)
    let places = (0..<3).compactMap { _ in table.enter(9, limit: 3) }
    #expect(places.count == 3)
    #expect(table.enter(9, limit: 3) == nil)
    #expect(table.enter(8, limit: 3) != nil)
    table.leave(places[0])
    #expect(table.enter(9, limit: 3) != nil)
    #expect(table.enter(9, limit: 3) == nil)
    #expect(table.enter(7, limit: 0) == nil)
  }

  @Test("are never more than may be, on several threads, while keys come and go")
  func threads() {
    let table = UseTable(keyCount: 32)
    let keyCount = 24
    let active = Actives(count: keyCount)
    let refused = onThreads(4) { number in
      var numbers = Numbers(state: UInt64(number))
      var held: [(key: Int, place: UseTable.Place)] = []
      var refused = 0
      for _ in 0..<50_000 {
        if held.count < 3, Bool.random(using: &numbers) {
          let key = Int.random(in: 0..<keyCount, using: &numbers)
          guard let place = table.enter(spread(key), limit: 2) else {
            refused += 1
            continue
          }
          active.add(1, to: key)
          held.append((key, place))
        } else if let gone = held.popLast() {
          active.add(-1, to: gone.key)
          table.leave(gone.place)
        }
      }
      for gone in held {
        active.add(-1, to: gone.key)
        table.leave(gone.place)
      }
      return refused
    }.reduce(0, +)
    #expect(active.most == 2)
    #expect(refused > 0)
    #expect(table.uncountedCount == 0)
    #expect(table.keyCount == 0)
  }

  @Test("are let in uncounted where the table has no place, which is counted")
  func full() throws {
    let table = UseTable(keyCount: 16)
    for key in 1...16 { #expect(table.enter(UInt64(key), limit: 1) != nil) }
    let uncounted = try #require(table.enter(17, limit: 1))
    #expect(table.enter(17, limit: 1) != nil)
    #expect(table.uncountedCount == 2)
    table.leave(uncounted)
    #expect(table.keyCount == 16)
  }
}

/// How many are under way as the threads see it.
private final class Actives: Sendable {
  private let counts: Mutex<(now: [Int], most: Int)>

  init(count: Int) { counts = Mutex((Array(repeating: 0, count: count), 0)) }

  func add(_ change: Int, to key: Int) {
    counts.withLock {
      $0.now[key] += change
      $0.most = max($0.most, $0.now[key])
    }
  }

  var most: Int { counts.withLock { $0.most } }
}

@Suite("Bytes")
struct ByteRateTests {
  private let start: UInt64 = 5_000_000_000

  @Test(
    "pass at most as fast as was said, by the byte",
    arguments: [
      ByteRate(bytesPerSecond: 1000, burst: 500), ByteRate(bytesPerSecond: 3, burst: 1),
      ByteRate(bytesPerSecond: 1 << 30, burst: 1 << 16),
    ]
  )
  func rate(rate: ByteRate) {
    var numbers = Numbers(state: 8)
    var full: UInt64 = 0
    var sent: UInt64 = 0
    var now = start
    for _ in 0..<2000 {
      let count = UInt64.random(in: 1...rate.burst, using: &numbers)
      let moment = rate.book(count, in: &full, at: now)
      #expect(moment >= now)
      now = moment
      sent += count
      // bytes ≤ burst + time · rate, in integers.
      let time = now - start
      let (quotient, rest) = UInt64(1_000_000_000).dividingFullWidth(
        time.multipliedFullWidth(by: rate.bytesPerSecond)
      )
      #expect(sent <= rate.burst + quotient + (rest > 0 ? 1 : 0))
    }
    let least = rate.nanoseconds(for: sent - rate.burst)
    // Each booking rounds up by less than a nanosecond.
    #expect(now - start <= least + 4000)
  }

  @Test("of one key are shared by threads: what all booked took its time")
  func threads() {
    let rate = ByteRate(bytesPerSecond: 1_000_000, burst: 1000)
    let table = ByteTable(rate, keyCount: 16)
    let start = start
    let moments = onThreads(4) { _ in
      (0..<1000).map { _ in table.book(100, for: 3, at: start) }
    }.flatMap(\.self).sorted()
    // 100 bytes take 100 µs; ten pieces are the burst.
    let wanted = (0..<4000).map { start + UInt64(max(0, $0 - 9)) * 100_000 }
    #expect(moments == wanted)
  }

  @Test("come in pieces of an eighth of a second")
  func pieces() {
    #expect(ByteRate(bytesPerSecond: 80_000, burst: 1).pieceBytes == 10_000)
    #expect(ByteRate(bytesPerSecond: 1, burst: 1).pieceBytes == 512)
    #expect(ByteRate(bytesPerSecond: 1 << 40, burst: 1).pieceBytes == 65_536)
  }
}
