import Glibc
import TLS
import TestPeers
import Testing

@Suite("Records")
struct RecordTests {
  /// Both ends of a connection with little room, behind their handshake.
  private final class Ends {
    let server: TLSSession
    let client: TLSSession
    private let sockets: [Int32]

    init(_ rig: Rig, _ policy: TLSPolicy) throws {
      _ = try rig.certificate("a", for: ["a"])
      let identity = try TLSIdentity(certificates: rig.read("a.pem"), key: rig.read("a.key"))
      var pair: [Int32] = [0, 0]
      let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
      try #require(unsafe socketpair(AF_UNIX, kind, 0, &pair) == 0)
      sockets = pair
      var room: Int32 = 40_000
      for socket in pair { unsafe setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, 4) }
      let resumption = TLSResumption(tickets: nil)
      let context = try TLSContext(
        server: "a",
        [identity],
        policy: policy,
        protocols: [],
        resumption: resumption
      )
      server = try TLSSession(context, socket: pair[0], as: .server)
      client = try TLSSession(
        TLSContext(clientBelieving: nil, policy: policy),
        socket: pair[1],
        to: TLSServerName(asked: "a", verified: nil)
      )
      for _ in 0..<5 {
        _ = client.handshake()
        _ = server.handshake()
      }
      try #require(client.handshake() == .done && server.handshake() == .done)
    }

    deinit { for socket in sockets { close(socket) } }

    /// Sends a part of some bytes; nil: there is no room for now.
    func send(_ bytes: [UInt8], _ range: Range<Int>, endsNext: Bool = false) throws -> Int? {
      let result = unsafe bytes.withUnsafeBytes { bytes in
        unsafe server.send(UnsafeRawBufferPointer(rebasing: bytes[range]), endsNext: endsNext)
      }
      if result == -Int(EAGAIN) { return nil }
      try #require(result >= 0)
      return result
    }

    /// Receives what there is, at most so many bytes; nil: nothing for now.
    func receive(upTo count: Int) throws -> [UInt8]? {
      var bytes = [UInt8](repeating: 0, count: count)
      let result = unsafe bytes.withUnsafeMutableBytes { unsafe client.receive(into: $0) }
      if result == -Int(EAGAIN) { return nil }
      try #require(result >= 0)
      return Array(bytes[..<result])
    }
  }

  private struct Numbers {
    var state: UInt64

    mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
  }

  private static let content = (0..<600_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }

  @Test(
    "arrive as they were given, in order, however much is given and however little room there is",
    arguments: [TLSPolicy.modern, .old],
    0..<6
  )
  func order(policy: TLSPolicy, seed: Int) async throws {
    try await Rig.run { rig in
      let ends = try Ends(rig, policy)
      var numbers = Numbers(state: UInt64(seed) &* 77 &+ 5)
      var (sent, waits) = (0, 0)
      var received: [UInt8] = []
      while sent < Self.content.count {
        // Where there was no room, less or more may be given next time, from the same byte on.
        let count = 1 + numbers.next(numbers.next(3) == 0 ? 1000 : 150_000)
        let range = sent..<min(Self.content.count, sent + count)
        let isLast = range.upperBound == Self.content.count
        if let taken = try ends.send(Self.content, range, endsNext: isLast) {
          try #require(taken <= range.count)
          sent += taken
        } else {
          waits += 1
        }
        if numbers.next(3) == 0 || sent < range.upperBound {
          received += try ends.receive(upTo: 1 + numbers.next(80_000)) ?? []
        }
      }
      ends.server.close()
      while let more = try ends.receive(upTo: 50_000) {
        if more.isEmpty { break }
        received += more
        // What found no room before goes now.
        ends.server.close()
      }
      let isSame = received == Self.content
      #expect(isSame, "\(received.count) bytes, \(waits) waits")
      #expect(waits > 0)
    }
  }

  @Test("are told of when the socket has taken them, and not before")
  func told() async throws {
    try await Rig.run { rig in
      let ends = try Ends(rig, .modern)
      var told = 0
      while let taken = try ends.send(Self.content, told..<Self.content.count) { told += taken }
      // Nothing more is sent: what the other side gets is what was told of, and perhaps a part of a record.
      var received = 0
      while let more = try ends.receive(upTo: 100_000), !more.isEmpty { received += more.count }
      #expect(received >= told && received - told < 16_384 && told > 0)
    }
  }
}
