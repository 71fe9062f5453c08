import Foundation

/// A member in this process: each of its connections runs the test's closure on its own thread.
///
/// It notes every byte that reaches it. An error that the closure throws ends the connection and is
/// kept in ``failures``; that the other end has left is none.
public final class ScriptedMember: Sendable {
  private let socket: BoundSocket
  private let record = Record()
  private let wires = Guarded<[Weak]>([])
  private let state = Guarded<(connections: Int, failures: [String])>((0, []))

  private struct Weak: Sendable {
    weak let wire: Wire?
  }

  /// Where it listens.
  public var endpoint: Endpoint { socket.endpoint }
  /// Every byte that it has received, of all connections in the order of their arrival.
  public var received: [UInt8] { record.all }
  /// How many connections it has taken.
  public var connectionCount: Int { state.withLock { $0.connections } }
  /// What went wrong in its closures.
  public var failures: [String] { state.withLock { $0.failures } }

  init(_ serve: @escaping @Sendable (Wire) throws -> Void) throws {
    socket = try BoundSocket()
    try socket.listen()
    Thread { [socket, weak self] in
      while let number = socket.accept() {
        guard let self else {
          _ = Glibc.close(number)
          return
        }
        self.start(Wire(accepted: number, record: self.record), serve)
      }
    }.start()
  }

  private func start(_ wire: Wire, _ serve: @escaping @Sendable (Wire) throws -> Void) {
    state.withLock { $0.connections += 1 }
    wires.withLock { wires in
      wires.removeAll { $0.wire == nil }
      wires.append(Weak(wire: wire))
    }
    Thread { [weak self] in
      do {
        try serve(wire)
      } catch is Wire.Failure {
        return
      } catch {
        self?.state.withLock { $0.failures.append("\(error)") }
      }
    }.start()
  }

  /// Refuses connections from now on, and ends those that are open.
  public func stop() {
    socket.shutDown()
    endConnections()
  }

  /// Ends the connections that are open.
  public func endConnections() {
    for entry in wires.withLock({ $0 }) { entry.wire?.end() }
  }
}
