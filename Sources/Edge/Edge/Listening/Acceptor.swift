import HTTP1
import MartletLoop
import MartletNet
import MartletSystem

/// Takes new connections of one listening address on one loop.
final class Acceptor {
  /// What the address serves; changes with the generation.
  var plan: ListenerPlan {
    didSet { parser = plan.parser }
  }
  /// For heads that are complete at once; it stands before a message between two uses.
  var parser: RequestParser
  /// Whether the address is no longer listened on: its connections end with their next answer.
  private(set) var isClosing = false
  /// When a connection that is refused for its PROXY header is noted again, and how many were not.
  var nextRefusalNote: Deadline?
  var unnotedRefusals = 0
  /// Closed when nothing more is accepted: connections that go on hold their acceptor, and a socket
  /// that is still watched here would take wake-ups from the processes that do accept.
  private var listener: Listener?
  private var takesWaiting = false
  private unowned let worker: Worker

  init(plan: ListenerPlan, listener: Listener, worker: Worker) {
    self.plan = plan
    parser = plan.parser
    self.listener = listener
    self.worker = worker
  }

  /// Accepts until ``close(takesWaiting:)``.
  ///
  /// A loop takes a few connections at a time, so that other loops get their share and those that
  /// are open are served between. Without a free descriptor, or with as many connections as may be
  /// open, it waits: the kernel keeps the others in the queue.
  func run() async {
    guard let listener else { return }
    while !isClosing {
      do throws(SystemError) {
        var taken = 0
        while taken < Self.batch, !isFull, let accepted = try listener.acceptNow() {
          worker.serve(accepted, from: self)
          taken += 1
        }
        if isFull {
          await pause()
          continue
        }
        if taken == Self.batch {
          await worker.loop.yield()
          continue
        }
      } catch {
        worker.noteAccepting(error, at: plan.key)
        await pause()
        continue
      }
      do { try await listener.acceptable() } catch { break }
    }
    self.listener = nil
    end(listener)
  }

  /// Whether as many connections are open as may be.
  private var isFull: Bool { worker.isFull || plan.stream?.isFull ?? false }

  /// Waits a little for connections to end.
  private func pause() async {
    do { try await worker.loop.sleep(for: Self.pause) } catch { await worker.loop.yield() }
  }

  /// Takes what this loop may have been woken for, which no other process will be.
  private func end(_ listener: Listener) {
    listener.stopWatching()
    guard takesWaiting else { return }
    do throws(SystemError) {
      while let accepted = try listener.acceptNow() { worker.serve(accepted, from: self) }
    } catch {
      worker.noteAccepting(error, at: plan.key)
    }
  }

  /// Stops accepting; connections that are open stay.
  ///
  /// With `takesWaiting` those that wait in the queue now are served.
  func close(takesWaiting: Bool) {
    isClosing = true
    self.takesWaiting = takesWaiting
    listener?.cancel()
  }

  private static let batch = 16
  private static let pause = Duration.milliseconds(100)
}
