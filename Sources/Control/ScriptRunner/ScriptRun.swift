import GatewayProtocols
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

/// Why there is no answer of a script.
struct ScriptFailure: Error {
  /// The status that tells the client; 0: nobody is there to be told.
  var status: Int
  var detail: String

  init(_ status: Int, _ detail: String) {
    self.status = status
    self.detail = detail
  }
}

/// One run of a script: its input is the request's content, its output the answer, and what it writes to its standard
/// error is what FastCGI has a stream of its own for.
final class ScriptRun {
  private let script: RunningScript
  private let name: String
  private let connection: ScriptConnection
  private let loop: EventLoop
  private let deadline: Deadline
  /// Set when a coroutine beside the main one is over.
  private let fed: Signal
  private let heard: Signal
  private let left: Signal
  /// How its process has ended.
  private var end: ProcessEnd?
  private var isFed = false
  private var isHeard = false
  private var isOver = false
  private var hasLeft = false

  init?(
    _ script: RunningScript,
    _ name: String,
    for connection: ScriptConnection,
    until deadline: Deadline,
    on loop: EventLoop
  ) {
    guard let fed = Signal(on: loop), let heard = Signal(on: loop), let left = Signal(on: loop)
    else { return nil }
    (self.script, self.name, self.connection, self.deadline) = (script, name, connection, deadline)
    (self.loop, self.fed, self.heard, self.left) = (loop, fed, heard, left)
  }

  /// Runs it to its end; nothing of it is left then.
  ///
  /// - Throws: ``ScriptFailure``; with a status where nothing was answered yet.
  func run() async throws(ScriptFailure) -> ProcessEnd {
    loop.spawn(named: "feed a script") { await self.feed() }
    loop.spawn(named: "hear a script") { await self.hear() }
    loop.spawn(named: "watch a script") { await self.watch() }
    var failure: ScriptFailure?
    do throws(ScriptFailure) {
      try await pass()
    } catch {
      failure = error
    }
    isOver = true
    // What it has to say at its end is heard, unless it has been heard for long enough.
    let end = await finish(failed: failure != nil)
    loop.cancelPresentRead(of: connection.stream.descriptor)
    while !isFed { await fed.untilSet() }
    while !isHeard { await heard.untilSet() }
    guard var failure else { return end }
    if failure.status == 502 { failure.detail += "; \(end)" }
    throw failure
  }

  /// Waits for the process where it has closed its output in order, and ends everything that it has started.
  private func finish(failed: Bool) async -> ProcessEnd {
    if !failed, end == nil { do throws(WaitError) { try await left.wait(by: deadline) } catch {} }
    script.endGroup()
    while end == nil { await left.untilSet() }
    script.cancel()
    return end ?? .code(-1)
  }

  /// Waits for the end of its process: what others still hold of its output is of no meaning then.
  private func watch() async {
    do throws(WaitError) { end = try await script.child.ended() } catch { end = .code(-1) }
    left.set()
    script.output.cancel()
  }

  /// Passes its output on.
  private func pass() async throws(ScriptFailure) {
    var hasBegun = false
    while true {
      let bytes: [UInt8]
      do throws(StreamError) {
        bytes = try await script.output.read(by: deadline, orEndWhen: { self.end != nil })
      } catch {
        if hasLeft { throw ScriptFailure(0, "\(name): the client has left") }
        let detail = error == .timedOut ? "takes longer than it may" : "\(error)"
        throw ScriptFailure(hasBegun ? 0 : 504, "\(name): \(detail)")
      }
      if hasLeft { throw ScriptFailure(0, "\(name): the client has left") }
      if bytes.isEmpty {
        if !hasBegun { throw ScriptFailure(502, "\(name) has said nothing") }
        return
      }
      hasBegun = true
      do throws(StreamError) {
        try await connection.send(bytes, by: deadline)
      } catch {
        throw ScriptFailure(0, "\(name): the answer is not taken: \(error)")
      }
    }
  }

  /// Gives it the request's content, and watches whether the client leaves.
  private func feed() async {
    var left = false
    do throws(ScriptFailure) {
      var reads = true
      while true {
        let next = try await connection.next(by: deadline)
        if next.event == .end { break }
        if next.event == .abort { throw ScriptFailure(0, "not wanted any more") }
        // One that reads no more may still answer.
        if reads { reads = await script.input.write(next.content, by: deadline) }
      }
      script.input.close()
      left = await connection.clientLeaves(by: deadline)
    } catch {
      left = true
    }
    script.input.close()
    if left, !isOver {
      hasLeft = true
      script.endGroup()
    }
    isFed = true
    fed.set()
  }

  /// Takes what it says besides.
  private func hear() async {
    do throws(StreamError) {
      while true {
        let bytes = try await script.errors.read(by: deadline)
        if bytes.isEmpty { break }
        connection.say(bytes)
      }
    } catch {
      // It is over.
    }
    isHeard = true
    heard.set()
  }
}
