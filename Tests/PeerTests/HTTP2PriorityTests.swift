import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// The order of answers for which there is not enough room, as Python's h2 gets them.
  @Suite("Priorities of HTTP/2", .timeLimit(.minutes(2 * slowness))) struct HTTP2PriorityTests {
    /// Asks for one file on several streams with priorities, when all wait for the window of the connection says
    /// other ones, and opens it step by step; prints whose content has come in each step.
    private static let client = """
      import socket, struct, sys
      import h2.config, h2.connection, h2.events, h2.settings
      port, wishes, changes = int(sys.argv[1]), sys.argv[2].split(";"), sys.argv[3].split(";")
      step = 65535
      wire = socket.create_connection(("127.0.0.1", port), 20)
      client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
      client.initiate_connection()
      client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 24})
      heads, got, ended = set(), [], set()

      def receive(is_done):
          while not is_done():
              data = wire.recv(65536)
              if not data:
                  raise SystemExit("the connection has ended")
              for event in client.receive_data(data):
                  if isinstance(event, h2.events.ResponseReceived):
                      heads.add(event.stream_id)
                  elif isinstance(event, h2.events.DataReceived):
                      got.append((event.stream_id, event.flow_controlled_length))
                  elif isinstance(event, h2.events.StreamEnded):
                      ended.add(event.stream_id)
                  elif isinstance(event, h2.events.PingAckReceived):
                      heads.add("ping")
              wire.sendall(client.data_to_send())

      streams = []
      for wish in wishes:
          stream = client.get_next_available_stream_id()
          fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a")]
          fields.append((":path", "/large.bin"))
          client.send_headers(stream, fields + ([("priority", wish)] if wish else []), end_stream=True)
          streams.append(stream)
      wire.sendall(client.data_to_send())
      total = lambda: sum(count for _, count in got)
      receive(lambda: len(heads) == len(streams) and total() == step)
      updates = b""
      for change in filter(None, changes):
          number, value = change.split(":")
          payload = struct.pack(">I", streams[int(number)]) + value.encode()
          updates += struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", 0x10, 0, 0) + payload
      client.ping(b"12345678")
      wire.sendall(updates + client.data_to_send())
      receive(lambda: "ping" in heads)
      while len(ended) < len(streams):
          before, place = total(), len(got)
          client.increment_flow_control_window(step)
          wire.sendall(client.data_to_send())
          left = len(streams) * \(length) - before
          whole = lambda: left > step or len(ended) == len(streams)
          receive(lambda: total() - before == min(step, left) and whole())
          order = []
          for stream, count in got[place:]:
              if count and (not order or order[-1] != streams.index(stream)):
                  order.append(streams.index(stream))
          print("step", *order, flush=True)
      """

    private static let length = 400_000

    struct Order: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var wishes: [String]
      var changes: [String] = []
      /// In which order they are complete.
      var ends: [Int]
      /// Which of them take turns.
      var turns: [Int] = []
    }

    static let orders = [
      Order(
        testDescription: "by urgency",
        wishes: ["u=5", "u=1", "u=7", "u=0"],
        ends: [3, 1, 0, 2]
      ),
      Order(
        testDescription: "those who say nothing",
        wishes: ["", "u=4", "u=2"],
        ends: [2, 0, 1]
      ),
      Order(testDescription: "as they came", wishes: ["", "", ""], ends: [0, 1, 2]),
      Order(
        testDescription: "by what was said later",
        wishes: ["u=3", "u=3", "u=3"],
        changes: ["2:u=0", "0:u=6"],
        ends: [2, 1, 0]
      ),
      Order(
        testDescription: "in turns",
        wishes: ["u=2, i", "u=2, i", "u=2, i"],
        ends: [],
        turns: [0, 1, 2]
      ),
      Order(
        testDescription: "in turns behind what is more urgent",
        wishes: ["u=4, i", "u=4, i", "u=1"],
        ends: [2],
        turns: [0, 1]
      ),
    ]

    @Test("decide who has the room that there is", arguments: orders)
    func order(order: Order) async throws {
      try await Rig.run { rig in
        try rig.write([UInt8](repeating: 120, count: Self.length), to: "files/large.bin")
        let martlet = try rig.martlet(
          configuration: """
            server {
              listen LISTEN
              route / { files \(rig.path("files")) }
            }
            """
        )
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let program = try rig.write(Self.client, to: "client.py")
        let told = try rig.outcome(
          of: [
            "/usr/bin/python3", program, "\(port)", order.wishes.joined(separator: ";"),
            order.changes.joined(separator: ";"),
          ]
        )
        #expect(told.status == 0, "\(told.lines)")
        let steps = told.lines.map { $0.split(separator: " ").dropFirst().compactMap { Int($0) } }
        let sequence = steps.flatMap(\.self)
        // Whose last content comes first.
        let ends = Set(sequence).sorted {
          sequence.lastIndex(of: $0) ?? 0 < sequence.lastIndex(of: $1) ?? 0
        }
        #expect(Array(ends.prefix(order.ends.count)) == order.ends, "\(steps)")
        if order.turns.isEmpty {
          // One behind the other: none goes on once another one has begun.
          let runs = sequence.indices.filter { $0 == 0 || sequence[$0] != sequence[$0 - 1] }
          #expect(runs.count == Set(sequence).count, "\(steps)")
        } else {
          // Before one of them is complete, each has had something.
          let first = sequence.filter { order.turns.contains($0) }.prefix(2 * order.turns.count)
          #expect(Set(first) == Set(order.turns), "\(steps)")
        }
      }
    }
  }
}
