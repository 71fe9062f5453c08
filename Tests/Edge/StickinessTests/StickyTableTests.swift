import Foundation
import Stickiness
import Testing

@Suite("What is remembered of clients") struct StickyTableTests {
  private let first = MemberIdentity("10.0.0.1:80")
  private let second = MemberIdentity("10.0.0.2:80")

  @Test("a client is known by its word, until it was away for the idle time")
  func idle() {
    let table = StickyTable(keyCount: 100, idleSeconds: 60)
    #expect(table.member(of: 7, at: 1000) == nil)
    table.remember(first, for: 7, at: 1000)
    #expect(table.member(of: 8, at: 1000) == nil)
    #expect(table.member(of: 7, at: 1060) == first.low)
    // It was seen at 1060, so it is known for another minute.
    #expect(table.member(of: 7, at: 1120) == first.low)
    #expect(table.count(at: 1180) == 1)
    #expect(table.member(of: 7, at: 1181) == nil)
    #expect(table.count(at: 1181) == 0)
  }

  @Test("the member that was remembered last counts")
  func changes() {
    let table = StickyTable(keyCount: 100, idleSeconds: 60)
    table.remember(first, for: 7, at: 1000)
    table.remember(second, for: 7, at: 1001)
    #expect(table.member(of: 7, at: 1001) == second.low && table.count(at: 1001) == 1)
  }

  @Test("all is forgotten when it is cleared")
  func clear() {
    let table = StickyTable(keyCount: 100, idleSeconds: 60)
    for client in 1...50 as ClosedRange<UInt64> { table.remember(first, for: client, at: 1000) }
    #expect(table.count(at: 1000) == 50)
    table.clear()
    #expect(table.count(at: 1000) == 0 && table.member(of: 7, at: 1000) == nil)
    table.remember(second, for: 7, at: 1000)
    #expect(table.member(of: 7, at: 1000) == second.low)
  }

  @Test("a full table forgets those that were away for longest, and asking adds nobody")
  func full() {
    let table = StickyTable(keyCount: 64, idleSeconds: 3600)
    for client in 1...640 as ClosedRange<UInt64> {
      #expect(table.member(of: client, at: UInt32(client)) == nil)
      table.remember(first, for: client, at: UInt32(client))
    }
    #expect(table.count(at: 640) == table.capacity)
    // Sixteen places to each of four groups, and consecutive clients in consecutive groups.
    for client in 577...640 as ClosedRange<UInt64> {
      #expect(table.member(of: client, at: 640) == first.low, "\(client)")
    }
    for client in 1...576 as ClosedRange<UInt64> {
      #expect(table.member(of: client, at: 640) == nil, "\(client)")
    }
  }

  @Test("threads never get the member of another client")
  func threads() {
    let table = StickyTable(keyCount: 32, idleSeconds: 60)
    let members = (0..<64).map { MemberIdentity("10.0.0.\($0):80") }
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      for step in 0..<20_000 {
        let client = UInt64((step * 7 + thread * 13) % 64) + 1
        let member = members[Int(client - 1)]
        if step % 3 == 0 { table.remember(member, for: client, at: 1000) }
        let found = table.member(of: client, at: 1000)
        if let found, found != member.low { Issue.record("\(client)") }
      }
    }
  }
}
