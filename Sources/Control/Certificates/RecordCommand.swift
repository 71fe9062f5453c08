import ACME
import MartletLoop
import MartletProcess
import MartletSystem

/// Runs the program that makes and removes records of names.
struct RecordCommand {
  /// How long it may run.
  static let time = Duration.seconds(120)

  /// The program and its arguments.
  let words: [String]

  /// Has the record of a proof made, or removed.
  ///
  /// - Throws: ``ACME/ACMEFailure``.
  func run(
    _ action: String,
    _ proof: ACMEProof,
    on loop: EventLoop
  ) async throws(ACMEFailure) {
    guard let path = words.first else {
      throw ACMEFailure(.local, "`dns_command` does not say which program makes records")
    }
    var program = Program(path, arguments: Array(words.dropFirst()))
    program.discardsOutput = true
    program.hasOwnGroup = true
    program.set("MARTLET_ACTION", to: action)
    program.set("MARTLET_NAME", to: proof.name)
    program.set("MARTLET_RECORD", to: proof.recordName)
    program.set("MARTLET_TEXT", to: proof.recordText)
    let child: ChildProcess
    do throws(SystemError) {
      child = try ChildProcess.start(program, on: loop)
    } catch {
      throw ACMEFailure(.local, "\(path): \(error)")
    }
    let end: ProcessEnd
    do throws(WaitError) {
      end = try await child.ended(by: loop.deadline(after: Timeout(Self.time)))
    } catch {
      child.sendToGroup(.kill)
      do throws(WaitError) { _ = try await child.ended() } catch {}
      throw ACMEFailure(.local, "\(path) was ended after \(Self.time.components.seconds) s")
    }
    guard end == .code(0) else { throw ACMEFailure(.local, "\(path) \(end)") }
  }
}
