import Foundation
import MartletLoop
import MartletProcess
import MartletSystem
import TestPeers
import Testing

/// The parent of the processes of a test.
actor Parent {
  nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  init() throws {
    loop = try EventLoop(descriptorLimit: 65_536, mode: .parking)
    try loop.startThread()
  }

  deinit { loop.stop() }

  private var soon: Deadline { loop.deadline(after: Timeout(.seconds(30))) }

  func end(of program: Program, after signal: ProcessSignal? = nil) async throws -> ProcessEnd {
    let child = try ChildProcess.start(program, on: loop)
    if let signal { child.send(signal) }
    return try await child.ended(by: soon)
  }

  func deadlineOfSleeper() async throws -> (timedOut: Bool, end: ProcessEnd, again: ProcessEnd) {
    let child = try ChildProcess.start(Program("/bin/sleep", arguments: ["60"]), on: loop)
    var timedOut = false
    do {
      _ = try await child.ended(by: loop.deadline(after: Timeout(.milliseconds(20))))
    } catch {
      timedOut = error == .timedOut
    }
    child.send(.kill)
    let end = try await child.ended(by: soon)
    // The number may be another's now: this must do nothing.
    child.send(.kill)
    return (timedOut, end, try await child.ended(by: soon))
  }

  func reaped(_ number: Int32) async throws {
    _ = try await ChildProcess(adopting: number, on: loop).ended(by: soon)
  }

  func adopted() async throws -> ProcessEnd {
    let number = try Program("/bin/sh", arguments: ["-c", "exit 3"]).spawn()
    return try await ChildProcess(adopting: number, on: loop).ended(by: soon)
  }
}

/// A running test program, whose lines are read one by one.
final class Companion {
  let process = Process()
  private let output = Pipe()
  private let errors = Pipe()

  static var path: URL {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("TestProgram")
  }

  init(_ arguments: String...) throws {
    process.executableURL = Self.path
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  func line() -> String {
    var bytes: [UInt8] = []
    while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func send(_ signal: ProcessSignal) throws {
    try Processes.send(signal, to: process.processIdentifier)
  }
}

@Suite("Processes", .timeLimit(.minutes(5)))
struct ProcessTests {
  @Test("tell how they ended")
  func end() async throws {
    let parent = try Parent()
    let code = try await parent.end(of: Program("/bin/sh", arguments: ["-c", "exit 7"]))
    #expect(code == .code(7))
    let sleeper = Program("/bin/sleep", arguments: ["60"])
    #expect(try await parent.end(of: sleeper, after: .terminate) == .signal(.terminate))
    #expect(try await parent.end(of: sleeper, after: .kill) == .signal(.kill))
    #expect("\(ProcessEnd.signal(.kill)), \(code)" == "was ended by SIGKILL, ended with code 7")
  }

  @Test("are waited for until a deadline, and are reaped once")
  func deadline() async throws {
    let outcome = try await Parent().deadlineOfSleeper()
    #expect(outcome.timedOut)
    #expect(outcome.end == .signal(.kill) && outcome.again == outcome.end)
  }

  @Test("can be taken over by their number, also after they have ended")
  func adoption() async throws {
    #expect(try await Parent().adopted() == .code(3))
  }

  @Test("cannot be started from a file that is not there", .disabled(if: forksAlways))
  func missing() throws {
    #expect(throws: SystemError(.execve, ENOENT)) {
      try Program("/nowhere/program").spawn()
    }
  }

  @Test("get the descriptors they are given, numbered from 3, and no others")
  func descriptors() async throws {
    let given = try Descriptor.pipe()
    let said = try Descriptor.pipe()
    let unrelated = try Descriptor.open("/dev/null", .read)
    try unrelated.setCloseOnExecute(false)
    try given.second.writeAll(Array("hello".utf8))
    let script = "read -r line <&3; echo \"$line\" $(ls /proc/$$/fd) >&4"
    let shell = Program("/bin/sh", arguments: ["-c", script])
    try given.second.writeAll([0x0A])
    let parent = try Parent()
    let numbers = [given.first.number, said.second.number]
    let number = try shell.spawn(descriptors: numbers)
    try await parent.reaped(number)
    let text = String(decoding: try said.first.read(upTo: 200), as: UTF8.self)
    #expect(
      text.split(whereSeparator: \.isWhitespace).prefix(6) == ["hello", "0", "1", "2", "3", "4"]
    )
    #expect(!text.contains("\(unrelated.number)\n") || unrelated.number <= 4)
  }

  @Test("take signals as events, in place of being ended by them")
  func signals() throws {
    let companion = try Companion("signals")
    #expect(companion.line() == "waiting")
    for signal in [ProcessSignal.hangUp, .user1, .user2, .terminate] {
      try companion.send(signal)
      #expect(companion.line() == "\(signal)")
    }
    companion.process.waitUntilExit()
    #expect(companion.process.terminationStatus == 0)
  }

  @Test("execute another program in place: the number and the parent stay")
  func execution() throws {
    let companion = try Companion("execute")
    #expect(companion.line() == "\(companion.process.processIdentifier)")
    #expect(companion.line() == "waiting")
    try companion.send(.terminate)
    #expect(companion.line() == "SIGTERM")
    companion.process.waitUntilExit()
  }

  @Test("give up their rights for good", .enabled(if: Processes.ownUser == 0))
  func rights() throws {
    let companion = try Companion("rights")
    let user = try UserRights(user: "nobody").user
    #expect(companion.line() == "\(user) open: Permission denied")
  }

  @Test("cannot become a user that is not there")
  func noUser() throws {
    #expect(throws: SystemError(.getpwnam, ENOENT)) { try UserRights(user: "nobody-of-this-name") }
    #expect(throws: SystemError(.getgrnam, ENOENT)) {
      try UserRights(user: "nobody", group: "no-group-of-this-name")
    }
  }
}
