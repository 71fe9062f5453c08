import Foundation
import Testing

/// What a run of the program gave.
struct Outcome {
  var status: Int32
  var output: String
  var errors: String
}

/// The program that was built with these tests.
func martlet(_ arguments: String...) throws -> Outcome {
  let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  let process = Process()
  process.executableURL = tests.deletingLastPathComponent().appendingPathComponent("martlet")
  process.arguments = arguments
  let output = Pipe()
  let errors = Pipe()
  process.standardOutput = output
  process.standardError = errors
  try process.run()
  let said = output.fileHandleForReading.readDataToEndOfFile()
  let complained = errors.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return Outcome(
    status: process.terminationStatus,
    output: String(decoding: said, as: UTF8.self),
    errors: String(decoding: complained, as: UTF8.self)
  )
}

@Suite("Commands", .timeLimit(.minutes(1)))
struct CommandTests {
  @Test("tell the version")
  func version() throws {
    let outcome = try martlet("--version")
    #expect(outcome.status == 0)
    #expect(outcome.output.wholeMatch(of: /martlet \d+\.\d+\.\d+\n/) != nil)
  }

  @Test(
    "end with code 2 when the arguments are wrong",
    arguments: [["fly"], ["run", "--fast"], ["proxy", "--to", "127.0.0.1:1"]]
  )
  func usage(arguments: [String]) throws {
    let outcome =
      arguments.count == 1
      ? try martlet(arguments[0])
      : try martlet(arguments[0], arguments[1], arguments.count > 2 ? arguments[2] : "")
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty && outcome.errors.contains("Error"))
  }
}
