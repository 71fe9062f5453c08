import Cache
import HTTPCaching
import MartletLoop
import Testing

@Suite("An answer that is being received")
struct FillTests {
  private func onLoop(_ body: (EventLoop, Signal) throws -> Void) throws {
    let loop = try EventLoop()
    loop.turn(waitingAtMost: 0)
    try body(loop, try #require(Signal(on: loop)))
  }

  private func head(length: Int?) -> AnswerHead {
    AnswerHead(
      status: 200,
      statusLine: Array("HTTP/1.1 200 OK".utf8),
      lines: Array("A: b\r\n".utf8),
      length: length,
      tag: 0..<0,
      lastModified: 0..<0
    )
  }

  private func lead() throws -> Fill {
    try CacheStore(CacheLimits(memoryBytes: 1 << 24)).lead(Array("a".utf8))
  }

  @Test("is read as it comes by any number, however it is split", arguments: [1, 7, 1000, 70_000])
  func reads(step: Int) throws {
    try onLoop { loop, signal in
      let fill = try lead()
      let body = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
      let readers = [fill.attach(), fill.attach()]
      let waiter = FillWaiter(signal, on: loop)
      #expect(fill.look(readers[0], from: 0, hasHead: false, waiter: waiter) == nil)
      fill.begin(head(length: nil), terms: try terms())
      var got: [[UInt8]] = [[], []]
      var offset = 0
      while offset < body.count {
        let end = min(offset + step * 37 % 9001 + 1, body.count)
        let taken = fill.append(body.span.extracting(offset..<end), writer: nil)
        #expect(taken == end - offset)
        offset = end
        for index in 0..<2 where index == 0 || offset % 3 == 0 {
          let from = got[index].count
          guard
            let glimpse = fill.look(readers[index], from: from, hasHead: true, waiter: waiter)
          else { continue }
          got[index] += glimpse.piece[glimpse.start...]
        }
      }
      fill.end(.complete)
      for index in 0..<2 {
        while got[index].count < body.count {
          let glimpse = fill.look(
            readers[index],
            from: got[index].count,
            hasHead: true,
            waiter: waiter
          )
          guard let glimpse else { break }
          got[index] += glimpse.piece[glimpse.start...]
        }
        #expect(got[index] == body)
      }
      let whole = fill.body()
      #expect(whole.count == body.count && Array(whole.pieces.joined()) == body)
      #expect(whole.pieces.dropLast().allSatisfy { $0.count == CachedBody.pieceBytes })
    }
  }

  @Test("waits for the slowest reader once it slides, and holds a window alone")
  func slides() throws {
    try onLoop { loop, signal in
      let fill = try lead()
      let reader = fill.attach()
      let waiter = FillWaiter(signal, on: loop)
      fill.begin(head(length: nil), terms: nil)
      let block = [UInt8](repeating: 1, count: 100_000)
      var taken = 0
      while true {
        let appended = fill.append(block.span, writer: waiter)
        let count = try #require(appended)
        taken += count
        if count < block.count { break }
      }
      #expect(taken == Fill.window)
      let glimpse = try #require(fill.look(reader, from: 0, hasHead: false, waiter: waiter))
      #expect(glimpse.isDeclined && glimpse.count == Fill.window)
      // What was read is dropped, and there is room again.
      _ = fill.look(reader, from: 131_072, hasHead: true, waiter: waiter)
      let more = fill.append(block.span, writer: waiter)
      #expect(more == 100_000)
      let later = try #require(fill.look(reader, from: 131_072, hasHead: true, waiter: waiter))
      #expect(later.start == 0 && later.count == Fill.window + 100_000)
      fill.detach(reader)
      let last = fill.append(block.span, writer: waiter)
      #expect(last == nil)
    }
  }

  @Test("ends once, and as was said first")
  func ends() throws {
    try onLoop { loop, signal in
      let fill = try lead()
      let reader = fill.attach()
      fill.end(.failed(Refused()))
      fill.end(.complete)
      let waiter = FillWaiter(signal, on: loop)
      let glimpse = try #require(fill.look(reader, from: 0, hasHead: false, waiter: waiter))
      guard case .failed? = glimpse.ending else {
        Issue.record("what was said later counts")
        return
      }
    }
  }
}
