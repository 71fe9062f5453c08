import Handover
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

/// An edge that answers every line with its greeting and its process.
///
/// The line `hold` is answered only after the next line.
final class FakeEdge {
  private let loop: EventLoop
  private let channel: HandoverChannel
  private var greeting = ""
  private var listeners: [String: Listener] = [:]
  private var logs: [OpenFile] = []
  private var connectionCount = 0
  private let emptied: Signal

  static func serve() throws {
    try ProcessSignal.block([.hangUp, .interrupt, .terminate, .user1, .user2])
    let loop = try EventLoop()
    loop.run {
      loop.checkIsolated()
      do {
        guard let edge = try FakeEdge(on: loop) else { return }
        try await edge.run()
      } catch {
        TestProgram.tell("edge: \(error)")
      }
    }
  }

  private init?(on loop: EventLoop) throws {
    guard let emptied = Signal(on: loop) else { return nil }
    self.emptied = emptied
    self.loop = loop
    channel = try HandoverChannel(adopting: OpenFile(adopting: 3), on: loop)
  }

  /// Says that the loop turns, at a pace that tests need not wait long for.
  private func tellTurns() async {
    while true {
      do {
        try channel.post(.alive)
        try await loop.sleep(for: .milliseconds(50))
      } catch { return }
    }
  }

  private func run() async throws {
    let edge = self
    loop.spawn { await edge.tellTurns() }
    while let delivery = try await channel.receive() {
      switch delivery.message {
      case .generation(let offer): try take(offer, delivery.files)
      case .logs: log(to: delivery.files)
      case .drain(let limit, _):
        await drain(limit)
        return
      case .stop: return
      case .ask:
        try channel.post(
          .report(json: "{\"greeting\":\"\(greeting)\"}", text: "greeting \(greeting)")
        )
      default: break
      }
    }
  }

  private func take(_ offer: GenerationOffer, _ files: [OpenFile]) throws {
    let configuration = FakeConfiguration(offer.source)
    if configuration.has("crash", at: offer.number) { TestProgram.end(9) }
    if configuration.has("refuse", at: offer.number) {
      try channel.post(.refused(generation: offer.number, reason: "told to refuse"))
      return
    }
    for (key, listener) in listeners where !offer.listeners.contains(key) {
      listener.cancel()
      listeners[key] = nil
    }
    for (key, file) in zip(offer.listeners, files) where listeners[key] == nil {
      let listener = try Listener(adopting: try file.descriptor.duplicate(), on: loop)
      listeners[key] = listener
      let edge = self
      loop.spawn { await edge.accept(from: listener) }
    }
    greeting = configuration.values("greeting").first ?? "hello"
    log(to: Array(files.dropFirst(offer.listeners.count)))
    try channel.post(.ready(generation: offer.number))
  }

  private func log(to files: [OpenFile]) {
    logs = files
    for file in logs {
      do { try file.descriptor.writeAll(Array("\(greeting)\n".utf8)) } catch {}
    }
  }

  private func accept(from listener: Listener) async {
    while true {
      do {
        let accepted = try await listener.accept()
        let stream = try Stream(adopting: accepted.descriptor, on: loop)
        connectionCount += 1
        let edge = self
        loop.spawn { await edge.serve(stream) }
      } catch { return }
    }
  }

  private func serve(_ stream: Stream) async {
    defer {
      connectionCount -= 1
      emptied.set()
    }
    do {
      let deadline = loop.deadline(after: Timeout(.seconds(60)))
      let line = try await stream.read(.head, by: deadline)
      switch line.count > 1 ? line.bytes[1] : 0 {
      case UInt8(ascii: "o"):
        try await stream.write(Array("held\n".utf8), by: deadline)
        _ = try await stream.read(.head, by: deadline)
      default: break
      }
      try await stream.write(Array("\(greeting) \(Processes.own)\n".utf8), by: deadline)
    } catch {}
  }

  private func drain(_ limit: Duration) async {
    for listener in listeners.values { listener.cancel() }
    listeners = [:]
    let deadline = loop.deadline(after: Timeout(limit))
    while connectionCount > 0, !loop.hasPassed(deadline) {
      do { try await emptied.wait(by: deadline) } catch { return }
    }
  }
}
