import HTTP2
import Testing

@Suite("What a peer can do too much of")
struct FloodTests {
  /// A flood: what is sent again and again; the number of the round is given.
  struct Flood: Sendable, CustomTestStringConvertible {
    var excess: Excess
    var before: [UInt8] = []
    var piece: @Sendable (UInt32) -> [UInt8]
    var testDescription: String { excess.rawValue }
  }

  static let floods: [Flood] = [
    Flood(excess: .rapidReset) { Frames.headers($0 * 2 + 1) + Frames.reset($0 * 2 + 1) },
    Flood(excess: .madeYouReset) {
      Frames.headers($0 * 2 + 1, Frames.post, isLast: false) + Frames.windowUpdate($0 * 2 + 1, 0)
    },
    Flood(excess: .madeYouReset) { Frames.headers($0 * 2 + 1, [(":method", "GET")]) },
    Flood(excess: .continuation, before: Frames.headers(1, isWhole: false)) { _ in
      Frames.frame(FrameKind.continuation, 0, 1, [])
    },
    Flood(excess: .settings) { _ in Frames.settings([(4, 65_535)]) },
    Flood(excess: .ping) { _ in Frames.ping() },
    Flood(excess: .emptyFrames, before: Frames.headers(1, Frames.post, isLast: false)) { _ in
      Frames.data(1, "")
    },
    Flood(excess: .emptyFrames) { _ in Frames.frame(0x77, 0, 0, []) },
    Flood(excess: .emptyFrames) { _ in Frames.frame(FrameKind.settings, 1, 0, []) },
    Flood(excess: .windowUpdates) { _ in Frames.windowUpdate(0, 1) },
    Flood(excess: .priorityChurn) { _ in
      Frames.frame(FrameKind.priority, 0, 1, [0, 0, 0, 3, 16])
    },
    Flood(excess: .priorityChurn) { _ in
      Frames.frame(FrameKind.priorityUpdate, 0, 0, [0, 0, 0, 1, 0x75, 0x3D, 0x31])
    },
    Flood(excess: .headerBomb, before: bombTable) {
      Frames.frame(
        FrameKind.headers,
        5,
        $0 * 2 + 3,
        Frames.block(Frames.get) + Array(repeating: 0xBE, count: 4000)
      )
    },
  ]

  /// A request that leaves a large field in the table.
  static let bombTable = Frames.frame(
    FrameKind.headers,
    5,
    1,
    Frames.block(Frames.get) + [0x40] + Frames.string([0x61])
      + Frames.string(Array(repeating: 0x62, count: 4000))
  )

  @Test("each flood is answered with GOAWAY ENHANCE_YOUR_CALM, by its name", arguments: floods)
  func flood(flood: Flood) {
    let subject = Subject.greeted()
    subject.receive(flood.before)
    var rounds: UInt32 = 0
    var written = 0
    while subject.fault == nil, rounds < 3000 {
      subject.receive(flood.piece(rounds))
      written += subject.written().count
      // Whoever serves a stream that was reset is done with it at once.
      for (id, place) in subject.releasable() where id != 1 || flood.before.isEmpty {
        subject.with { $0.release(place) }
      }
      rounds += 1
    }
    #expect(subject.fault?.excess == flood.excess)
    #expect(subject.fault?.code == .enhanceYourCalm)
    #expect(subject.frames.last?.kind == FrameKind.goAway)
    #expect(subject.frames.last?.goAwayCode == .enhanceYourCalm)
    #expect(rounds < 1200)
    #expect(written < 100_000)
  }

  @Test(
    "who does it at a rate that is allowed goes on for ever",
    arguments: [floods[0], floods[4]]
  )
  func allowedRate(flood: Flood) {
    let subject = Subject.greeted()
    for round in 0..<2000 {
      subject.now += 1_000_000_000
      subject.receive(flood.piece(UInt32(round)))
      for (_, place) in subject.releasable() { subject.with { $0.release(place) } }
    }
    #expect(subject.fault == nil)
  }

  @Test("streams that are reset count as open until nobody serves them any more")
  func served() {
    var limits = ConnectionLimits()
    limits.streamCount = 4
    let subject = Subject.greeted(limits: limits)
    for id in stride(from: UInt32(1), to: 9, by: 2) {
      subject.receive(Frames.headers(id) + Frames.reset(id))
    }
    #expect(subject.with { $0.streamCount } == 4)
    subject.receive(Frames.headers(9))
    #expect(subject.frames.last?.code == .refusedStream)
    subject.with { $0.release(0) }
    subject.receive(Frames.headers(11))
    #expect(subject.story.last == "head 11 last")
  }

  @Test("answers that wait for a window in vain are counted")
  func stalls() {
    let subject = Subject.greeted()
    var count = 0
    while subject.fault == nil, count < 100, subject.machine.fault == nil {
      subject.with { try? $0.noteStall(now: 1) }
      count += 1
    }
    #expect(subject.with { $0.fault }?.excess == .windowStall)
    #expect(count == 11)
    #expect(subject.frames.last?.goAwayCode == .enhanceYourCalm)
  }
}

extension Subject {
  /// The streams that were reset and are still served.
  func releasable() -> [(UInt32, Int)] {
    let all = places.filter { machine.isReset($0.value) && machine.number(of: $0.value) == $0.key }
    for id in all.keys { places[id] = nil }
    return all.map { ($0.key, $0.value) }
  }
}
