import HTTP1
import Testing

/// A frame with so many bytes of payload.
private func frame(_ count: Int, isMasked: Bool, opcode: UInt8 = 2) -> [UInt8] {
  let mark: UInt8 = isMasked ? 0x80 : 0
  var bytes: [UInt8] = [0x80 | opcode]
  switch count {
  case 0..<126: bytes.append(mark | UInt8(count))
  case 126..<65_536: bytes += [mark | 126, UInt8(count >> 8), UInt8(count & 255)]
  default:
    bytes.append(mark | 127)
    for shift in stride(from: 56, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: count >> shift))
    }
  }
  if isMasked { bytes += [1, 2, 3, 4] }
  return bytes + (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
}

@Suite("Frames of WebSocket, RFC 6455 section 5.2") struct WebSocketFramesTests {
  private static let frames = [
    frame(0, isMasked: false), frame(0, isMasked: true), frame(1, isMasked: false),
    frame(125, isMasked: true), frame(126, isMasked: false), frame(127, isMasked: true),
    frame(65_535, isMasked: false), frame(65_536, isMasked: true), WebSocketFrames.ping,
  ]

  @Test("end where they end, however long they are")
  func ends() {
    for frame in Self.frames {
      var walk = WebSocketFrames()
      #expect(walk.isBetween)
      for (index, byte) in frame.enumerated() {
        walk.pass([byte].span)
        #expect(walk.isBetween == (index == frame.count - 1))
      }
    }
  }

  @Test("end at the same places however the bytes are split", arguments: [1, 2, 3])
  func splits(seed: UInt64) {
    var state = seed
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for _ in 0..<200 {
      var bytes: [UInt8] = []
      var ends: Set<Int> = [0]
      for _ in 0..<1 + next(6) {
        bytes += frame([0, 1, 5, 125, 126, 300][next(6)], isMasked: next(2) == 0)
        ends.insert(bytes.count)
      }
      var walk = WebSocketFrames()
      var offset = 0
      while offset < bytes.count {
        let count = min(1 + next(200), bytes.count - offset)
        walk.pass(bytes[offset..<offset + count].span)
        offset += count
        #expect(walk.isBetween == ends.contains(offset))
      }
    }
  }

  @Test("of impossible length never end, and do no harm")
  func impossible() {
    var walk = WebSocketFrames()
    walk.pass(([0x82, 0xFF] + [UInt8](repeating: 0xFF, count: 8)).span)
    for _ in 0..<100 { walk.pass([UInt8](repeating: 0, count: 4096).span) }
    #expect(!walk.isBetween)
  }
}
