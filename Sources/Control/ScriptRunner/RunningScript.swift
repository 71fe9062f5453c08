import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

/// A script that was started: its process, and our ends of its input, output and errors.
final class RunningScript {
  let child: ChildProcess
  let input: PipeEnd
  let output: PipeEnd
  let errors: PipeEnd

  /// Starts a program in a folder.
  ///
  /// - Throws: ``MartletSystem/SystemError`` when it cannot be started.
  init(
    _ program: Program,
    in folder: String,
    _ limits: ScriptLimits,
    on loop: EventLoop
  ) throws(SystemError) {
    let input = try OpenFile.pipe()
    let output = try OpenFile.pipe()
    let errors = try OpenFile.pipe()
    let number = try program.spawn(
      in: folder,
      input: input.0.descriptor,
      output: output.1.descriptor,
      error: errors.1.descriptor
    )
    do throws(SystemError) {
      child = try ChildProcess(adopting: number, on: loop)
      try Processes.limit(
        number,
        processorSeconds: limits.processorTime.map { UInt64(max(1, $0.components.seconds)) } ?? 0,
        memoryBytes: UInt64(limits.memoryBytes ?? 0)
      )
      self.input = try PipeEnd(input.1, on: loop)
      self.output = try PipeEnd(output.0, on: loop)
      self.errors = try PipeEnd(errors.0, on: loop)
    } catch {
      // One that nobody could watch must not go on.
      do throws(SystemError) { try Processes.send(.kill, toGroup: number) } catch {}
      throw error
    }
  }

  /// Ends it and everything that it has started, unless that has left its group.
  func endGroup() {
    // The group outlives the process that leads it, and so does its number as long as there is one of it.
    do throws(SystemError) { try Processes.send(.kill, toGroup: child.number) } catch {}
  }

  /// Ends all waits for it.
  func cancel() {
    input.cancel()
    output.cancel()
    errors.cancel()
  }
}

/// Our end of a pipe.
final class PipeEnd {
  private var file: OpenFile?
  private let number: Int32
  private let loop: EventLoop

  init(_ file: OpenFile, on loop: EventLoop) throws(SystemError) {
    number = file.number
    self.loop = loop
    try loop.watch(number, assumesReady: true)
    self.file = file
  }

  deinit { if file != nil { loop.forget(number) } }

  /// Closes it.
  func close() {
    guard file != nil else { return }
    loop.forget(number)
    file = nil
  }

  /// Ends the present wait.
  func cancel() { if file != nil { loop.cancelWaits(of: number) } }

  /// Waits for bytes; none is the end, or that nothing is there while `isOver`, which is asked after each
  /// wait.
  ///
  /// - Throws: ``MartletNet/StreamError``.
  func read(
    by deadline: Deadline,
    orEndWhen isOver: () -> Bool = { false }
  ) async throws(StreamError) -> [UInt8] {
    while true {
      do throws(SystemError) {
        guard let bytes = try file?.descriptor.read(upTo: Self.pieceByteCount) else { return [] }
        return bytes
      } catch {
        guard error.wouldBlock else { throw .failed(error) }
        if isOver() { return [] }
      }
      loop.clearReadiness(number)
      do throws(WaitError) {
        try await loop.readable(number, by: deadline)
      } catch {
        if error == .timedOut { throw .timedOut }
        guard isOver() else { throw .cancelled }
      }
    }
  }

  /// Writes all of `bytes`.
  ///
  /// - Returns: False when nobody reads any more, or not in time.
  func write(_ bytes: [UInt8], by deadline: Deadline) async -> Bool {
    var written = 0
    while written < bytes.count {
      do throws(SystemError) {
        guard let count = try file?.descriptor.write(bytes.span.extracting(written..<bytes.count))
        else {
          return false
        }
        written += count
      } catch {
        guard error.wouldBlock else { return false }
        do throws(WaitError) { try await loop.writable(number, by: deadline) } catch {
          return false
        }
      }
    }
    return true
  }

  private static let pieceByteCount = 16 << 10
}
