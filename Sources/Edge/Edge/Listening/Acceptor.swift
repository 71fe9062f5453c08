import MartletLoop
import MartletNet
import MartletSystem

/// Takes new connections of one listening address on one loop.
final class Acceptor {
  /// What the address serves; changes with the generation.
  var plan: ListenerPlan
  /// Whether the address is no longer listened on: its connections end with their next answer.
  private(set) var isClosing = false
  private let listener: Listener
  private unowned let worker: Worker

  init(plan: ListenerPlan, listener: Listener, worker: Worker) {
    self.plan = plan
    self.listener = listener
    self.worker = worker
  }

  /// Accepts until ``close()``.
  ///
  /// A loop takes a few connections at a time, so that other loops get their share and those that
  /// are open are served between. Without a free descriptor it waits: the kernel keeps the others in
  /// the queue.
  func run() async {
    while !isClosing {
      do throws(SystemError) {
        var taken = 0
        while taken < Self.batch, let accepted = try listener.acceptNow() {
          worker.serve(accepted, from: self)
          taken += 1
        }
        if taken == Self.batch {
          await worker.loop.yield()
          continue
        }
      } catch {
        worker.noteAccepting(error, at: plan.key)
        do { try await worker.loop.sleep(for: Self.pause) } catch { await worker.loop.yield() }
        continue
      }
      do { try await listener.acceptable() } catch { break }
    }
  }

  /// Stops accepting; connections that are open stay.
  func close() {
    isClosing = true
    listener.cancel()
  }

  private static let batch = 16
  private static let pause = Duration.milliseconds(100)
}
