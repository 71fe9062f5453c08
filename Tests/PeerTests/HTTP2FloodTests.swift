import Foundation
import HTTP2
import TestPeers
import Testing

extension PeerTests {
  /// Every flood that has a name, by frames that no client of good will sends.
  @Suite("Floods of HTTP/2", .timeLimit(.minutes(2 * slowness))) struct HTTP2FloodTests {
    /// What a flood sends: once, and then again and again, given the number of a new stream.
    struct Flood: Sendable, CustomTestStringConvertible {
      var excess: Excess
      var settings: [UInt8] = []
      var before: [UInt8] = []
      /// How often at most.
      var count = 2000
      var piece: @Sendable (UInt32) -> [UInt8]
      var testDescription: String { excess.rawValue }
    }

    private static func frame(
      _ kind: UInt8,
      _ flags: UInt8,
      _ stream: UInt32,
      _ payload: [UInt8] = []
    ) -> [UInt8] {
      let length = payload.count
      let head = [UInt8(length >> 16), UInt8(length >> 8 & 255), UInt8(length & 255), kind, flags]
      return head + (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - $0 * 8)) } + payload
    }

    /// `GET /` and `POST /` at the host `a`, by the static table; nothing of it is kept.
    private static let get: [UInt8] = [0x82, 0x84, 0x86, 0x01, 1, 0x61]
    private static let post: [UInt8] = [0x83, 0x84, 0x86, 0x01, 1, 0x61]
    /// A field of 4,000 bytes that is kept in the table.
    private static let large: [UInt8] =
      [0x40, 1, 0x61, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x62, count: 4000)

    static let floods: [Flood] = [
      Flood(excess: .rapidReset) { frame(1, 5, $0, get) + frame(3, 0, $0, [0, 0, 0, 8]) },
      Flood(excess: .madeYouReset) { frame(1, 4, $0, post) + frame(8, 0, $0, [0, 0, 0, 0]) },
      Flood(excess: .continuation, before: frame(1, 1, 1, get)) { _ in frame(9, 0, 1) },
      Flood(excess: .settings) { _ in frame(4, 0, 0, [0, 4, 0, 0, 255, 255]) },
      Flood(excess: .ping) { _ in frame(6, 0, 0, Array("12345678".utf8)) },
      Flood(excess: .emptyFrames, before: frame(1, 4, 1, post)) { _ in frame(0, 0, 1) },
      Flood(excess: .emptyFrames) { _ in frame(0x77, 0, 0) },
      Flood(excess: .headerBomb, before: frame(1, 5, 1, get + large)) {
        frame(1, 5, $0, get + [UInt8](repeating: 0xBE, count: 4000))
      },
      Flood(excess: .windowUpdates) { _ in frame(8, 0, 0, [0, 0, 0, 1]) },
      Flood(excess: .windowStall, settings: [0, 4, 0, 0, 0, 0], count: 40) { frame(1, 5, $0, get) },
      Flood(excess: .priorityChurn) { _ in frame(2, 0, 1, [0, 0, 0, 3, 16]) },
      Flood(excess: .priorityChurn) { _ in frame(0x10, 0, 0, [0, 0, 0, 1] + Array("u=1".utf8)) },
    ]

    /// The error of the GOAWAY that a server ends a connection with; nil: there was none.
    private func lastWord(_ wire: Wire) throws -> UInt32? {
      let received = try wire.receiveRest()
      var offset = 0
      var code: UInt32?
      while offset + 9 <= received.count {
        let head = received[offset..<offset + 9]
        let length = head.prefix(3).reduce(0) { $0 << 8 | Int($1) }
        let kind = received[offset + 3]
        if kind == 7, offset + 17 <= received.count {
          code = received[offset + 13..<offset + 17].reduce(0) { $0 << 8 | UInt32($1) }
        }
        offset += 9 + length
      }
      return code
    }

    @Test("end with ENHANCE_YOUR_CALM, are counted and told by name", arguments: floods)
    func flood(flood: Flood) async throws {
      try await Rig.run { rig in
        // Answers that never come, but where they are to wait for room.
        let member = try rig.member { wire in try wire.receiveEnd() }
        let handler =
          flood.excess == .windowStall ? "respond 200 something" : "proxy \(member.endpoint)"
        let martlet = try rig.martlet(
          configuration: """
            server {
              listen LISTEN
              http2 on
              send_timeout 200ms
              route /fixed { respond 200 "fixed" }
              route / { \(handler) }
            }
            """
        )
        let good = try HTTP2Client(to: martlet.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        bytes += Self.frame(4, 0, 0, flood.settings) + flood.before
        for round in 0..<flood.count { bytes += flood.piece(UInt32(3 + 2 * round)) }
        // A server that has had enough reads no more, and ends the connection.
        var sent = 0
        while sent < bytes.count, wire.isWritable(within: .seconds(5)) {
          do { sent += try wire.sendNow(bytes, from: sent) } catch { break }
        }
        #expect(try lastWord(wire) == ErrorCode.enhanceYourCalm.rawValue)
        let told = try martlet.line(with: "was ended")
        #expect(told.contains(flood.excess.rawValue), "\(told)")
        let page = try rig.curl(
          "--unix-socket",
          rig.path("state/admin.sock"),
          "http://a/metrics"
        ).text
        let name = "martlet_http2_refused_total{reason=\"\(flood.excess.rawValue)\"} 1"
        // Faults of single streams are counted by themselves; of floods there is this one, once.
        let refusals = page.split(separator: "\n").filter {
          $0.hasPrefix("martlet_http2_refused_total{") && !$0.hasSuffix(" 0")
            && !$0.contains("\"stream_fault\"")
        }
        #expect(refusals.map(String.init) == [name])
        let stream = try good.open("GET /fixed HTTP/1.1\nHost: a")
        try good.finish(stream)
        #expect(good.bodies[stream] == Array("fixed".utf8))
      }
    }
  }
}
