import Foundation
import MartletTelemetry
import Synchronization
import Testing

/// What the writer takes, as a string; the buffer is given back.
private func taken(from lane: LogLane) -> String? { lane.take { string($0) } }

private func limits(handOver: Int, bytes: Int) -> LogBuffer.Limits {
  var limits = LogBuffer.Limits()
  limits.handOverBytes = handOver
  limits.bytes = bytes
  return limits
}

@Suite("Log buffer")
struct LogBufferTests {
  @Test("hands over when it is large, or when it is told to")
  func handsOver() {
    var log = LogBuffer(limits: limits(handOver: 4, bytes: 8))
    let lane = log.lane
    let first = log.append { $0.append("ab\n") }
    #expect(!first)
    #expect(taken(from: lane) == nil)
    let second = log.append { $0.append("c\n") }
    #expect(second)
    #expect(taken(from: lane) == "ab\nc\n")
    #expect(taken(from: lane) == nil)
    let third = log.append { $0.append("d\n") }
    let ticked = log.handOver()
    let again = log.handOver()
    #expect(!third)
    #expect(ticked)
    #expect(!again)
    #expect(taken(from: lane) == "d\n")
  }

  @Test("drops and counts lines while the writer keeps its buffer, and goes on after")
  func drops() {
    var log = LogBuffer(limits: limits(handOver: 4, bytes: 8))
    let lane = log.lane
    let isReady = log.append { $0.append("1234\n") }
    #expect(isReady)
    var wakes = 0
    let held = lane.take { buffer in
      for _ in 0..<5 where log.append({ $0.append("xyz\n") }) { wakes += 1 }
      return string(buffer)
    }
    #expect(held == "1234\n")
    #expect(wakes == 0)
    // A line that begins below the limit is taken whole: two fit.
    let (waiting, dropped) = (log.byteCount, log.droppedLineCount)
    #expect(waiting == 8)
    #expect(dropped == 3)
    let isAwake = log.append { $0.append("end\n") }
    #expect(isAwake)
    #expect(taken(from: lane) == "xyz\nxyz\n")
    let isLast = log.handOver()
    #expect(isLast)
    #expect(taken(from: lane) == "end\n")
    let finallyDropped = log.droppedLineCount
    #expect(finallyDropped == 3)
  }

  @Test("every line arrives once and in order, or is counted as dropped")
  func concurrent() {
    let lineCount = 100_000
    let isDone = Atomic(false)
    let received = Locked<[Int]>([])
    let dropped = Atomic<UInt64>(0)
    let box = Locked<LogLane?>(nil)
    onThreads(
      {
        var log = LogBuffer(limits: limits(handOver: 512, bytes: 1024))
        let lane = log.lane
        box.withLock { $0 = lane }
        for number in 0..<lineCount {
          _ = log.append { buffer in
            buffer.append(decimal: UInt64(number))
            buffer.append("\n")
          }
        }
        while log.byteCount > 0 { _ = log.handOver() }
        dropped.store(log.droppedLineCount, ordering: .relaxed)
        isDone.store(true, ordering: .releasing)
      },
      {
        var numbers: [Int] = []
        while true {
          let isLast = isDone.load(ordering: .acquiring)
          if let lane = box.withLock({ $0 }), let text = taken(from: lane) {
            numbers += text.split(separator: "\n").compactMap { Int($0) }
          } else if isLast {
            break
          }
        }
        received.withLock { $0 = numbers }
      }
    )
    let numbers = received.withLock { $0 }
    #expect(numbers.count + Int(dropped.load(ordering: .relaxed)) == lineCount)
    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
    #expect(!numbers.isEmpty)
  }

  @Test("a line longer than the limit is kept whole")
  func long() {
    var log = LogBuffer(limits: limits(handOver: 4, bytes: 4))
    let lane = log.lane
    let line = String(repeating: "x", count: 100_000)
    let isReady = log.append { $0.append(utf8: line) }
    #expect(isReady)
    #expect(taken(from: lane) == line)
  }
}
