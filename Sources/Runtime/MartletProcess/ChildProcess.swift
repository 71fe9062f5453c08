public import MartletLoop
public import MartletSystem

/// A process that this one started and reaps.
///
/// It never leaves its loop. Dropping it does not end the process.
public final class ChildProcess {
  /// The process' number.
  public let number: Int32
  /// How it ended; nil while it runs, as far as is known.
  public private(set) var end: ProcessEnd?
  private let loop: EventLoop
  private let watcher: Descriptor

  /// Takes over a child that this process started, perhaps before it executed another program.
  ///
  /// - Throws: ``SystemError`` when there is no such child, or no descriptor is to be had.
  public init(adopting number: Int32, on loop: EventLoop) throws(SystemError) {
    let watcher = try Processes.watch(number)
    try loop.watch(watcher.number)
    self.number = number
    self.loop = loop
    self.watcher = watcher
  }

  deinit { loop.forget(watcher.number) }

  /// Starts a program with `descriptors` as its numbers from 3 on.
  ///
  /// - Throws: ``SystemError`` as ``Program/spawn(descriptors:)``.
  public static func start(
    _ program: Program,
    descriptors: [Int32] = [],
    on loop: EventLoop
  ) throws(SystemError) -> ChildProcess {
    let number = try program.spawn(descriptors: descriptors)
    do throws(SystemError) {
      return try ChildProcess(adopting: number, on: loop)
    } catch {
      // A child that nobody could watch must not go on.
      do throws(SystemError) { try Processes.send(.kill, to: number) } catch {}
      throw error
    }
  }

  /// Waits for the process to end and reaps it; one coroutine at a time.
  ///
  /// - Throws: ``WaitError/timedOut`` when it still runs at `deadline`, and
  ///   ``WaitError/cancelled`` after ``cancel()``.
  public func ended(by deadline: Deadline = .never) async throws(WaitError) -> ProcessEnd {
    while true {
      if let end { return end }
      do throws(SystemError) {
        end = try Processes.reap(number)
      } catch {
        // Somebody else has reaped it: how it ended is lost.
        end = .code(-1)
      }
      if let end { return end }
      loop.clearReadiness(watcher.number)
      try await loop.readable(watcher.number, by: deadline)
    }
  }

  /// Ends the present or the next wait for the process' end.
  public func cancel() { loop.cancelWaits(of: watcher.number) }

  /// Sends a signal to the group that the process leads, see ``MartletSystem/Program/hasOwnGroup``;
  /// that of one that was reaped gets none.
  public func sendToGroup(_ signal: ProcessSignal) {
    guard end == nil else { return }
    do throws(SystemError) { try Processes.send(signal, toGroup: number) } catch {}
  }

  /// Sends a signal; one that was reaped gets none.
  public func send(_ signal: ProcessSignal) {
    guard end == nil else { return }
    // Until it is reaped here its number is its own, so this fails only where it may not be
    // signalled, which is not so for a child.
    do throws(SystemError) { try Processes.send(signal, to: number) } catch {}
  }
}
