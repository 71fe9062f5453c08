import MartletLoop
import MartletProcess
import MartletSystem

/// Gives each batch to a process of its own, on its standard input.
///
/// What the process writes goes to the standard error of this one. It ends when this one does.
final class BulkRunner: BulkCarrier {
  /// What a program ends with that refuses what it was given (`EX_DATAERR` of `sysexits.h`).
  private static let refusal: Int32 = 65
  /// What a shell ends with that finds no program, or one that is none (POSIX, Shell Command Language, 2.8.2).
  private static let absences: ClosedRange<Int32> = 126...127

  private let loop: EventLoop
  private let program: Program
  private let key: String
  /// How long a process may take.
  private let patience: Timeout

  init(on loop: EventLoop, _ program: Program, key: String, within patience: Duration) {
    self.loop = loop
    self.program = program
    self.key = key
    self.patience = Timeout(patience)
  }

  func carry(_ batches: ArraySlice<BulkBatch>, _ tell: ([BulkOutcome]) -> Void) async {
    for batch in batches { tell([await carry(batch)]) }
  }

  private func carry(_ batch: BulkBatch) async -> BulkOutcome {
    let child: ChildProcess
    do throws(SystemError) {
      child = try start(batch)
    } catch {
      return .failed("\(program.path): \(error)", isReached: false)
    }
    do throws(WaitError) {
      switch try await child.ended(by: loop.deadline(after: patience)) {
      case .code(0): return .acknowledged
      case .code(Self.refusal): return .refused("the command refuses it")
      case .code(let code) where Self.absences ~= code:
        return .failed("the command is not there (code \(code) of the shell)", isReached: false)
      case let end: return .failed("the command \(end)", isReached: true)
      }
    } catch {
      Processes.killTree(child.number)
      // Waited for all the same, so that nothing is left of it.
      do throws(WaitError) { _ = try await child.ended() } catch {}
      return .failed("the command did not end in time", isReached: true)
    }
  }

  private func start(_ batch: BulkBatch) throws(SystemError) -> ChildProcess {
    // A file, so that nobody waits for a process that does not read.
    let input = try Descriptor.memoryFile("batch")
    try input.writeAll(batch.body)
    try input.rewind()
    var program = program
    program.set("MARTLET_BATCH", to: "\(key)-\(batch.number)")
    program.standard = StandardDescriptors(
      input: .descriptor(input.number),
      output: .descriptor(2),
      error: .own
    )
    program.endsWithParent = true
    return try ChildProcess.start(program, on: loop)
  }
}
