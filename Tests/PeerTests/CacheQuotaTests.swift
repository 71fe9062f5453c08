import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Routes that share a store, one of which may have so much of it.
  @Suite("Quotas of a cache", .timeLimit(.minutes(2 * slowness))) struct CacheQuotaTests {
    private static func ask(_ path: String, over wire: Wire) throws {
      try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try wire.receiveAnswer().body.count == 10_000)
    }

    /// How many were asked for once.
    private static func once(_ path: String, in counts: [String: Int]) -> Int {
      counts.count { $0.key.hasPrefix(path) && $0.value == 1 }
    }

    @Test("bound the answers of their route, and leave those of others")
    func bounded() async throws {
      try await Rig.run { rig in
        let asked = Guarded<[String: Int]>([:])
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            asked.withLock { $0[request.target, default: 0] += 1 }
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 10000\r\n\r\n"
            )
            try wire.send([UInt8](repeating: 120, count: 10_000))
          }
        }
        let martlet = try rig.martlet(
          configuration: """
            cache main { memory 16MB }
            server {
                listen LISTEN
                route /bound/ {
                    proxy \(member.endpoint)
                    cache main { quota 200KB }
                    response header set X-Route bound
                }
                route / {
                    proxy \(member.endpoint)
                    cache main
                }
            }
            """
        )
        let wire = try Wire(to: martlet.endpoint)
        for _ in 0..<2 {
          for number in 0..<100 {
            try Self.ask("/free/\(number)", over: wire)
            try Self.ask("/bound/\(number)", over: wire)
          }
        }
        let (freeOnce, boundOnce) = asked.withLock { counts in
          (Self.once("/free/", in: counts), Self.once("/bound/", in: counts))
        }
        #expect(freeOnce == 100)
        #expect((1..<20).contains(boundOnce))
      }
    }
  }
}
