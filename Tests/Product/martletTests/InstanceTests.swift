import Foundation
import MartletSystem
import Testing

/// A running `martlet`.
final class Instance {
  let folder: Folder
  private let process = Process()
  private let output = Pipe()

  /// Starts `martlet` and waits until it says that it listens.
  init(_ command: String, _ arguments: String...) throws {
    folder = try Folder()
    process.executableURL = program
    process.arguments = [command, "--state-directory", folder.path + "/state"] + arguments
    process.standardOutput = output
    process.standardError = FileHandle.standardError
    try process.run()
    let first = line()
    guard first.contains("listens on") else { throw Unexpected(line: first) }
  }

  struct Unexpected: Error { var line: String }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  var number: Int32 { process.processIdentifier }
  var state: String { folder.path + "/state" }

  func line() -> String {
    var bytes: [UInt8] = []
    while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func ask(_ command: String...) throws -> Outcome {
    try run(program, command + ["--state-directory", state])
  }

  /// Waits for the end of the process.
  func end() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }
}

func curl(_ arguments: String...) throws -> Outcome {
  try run(URL(fileURLWithPath: "/usr/bin/curl"), ["-s", "-m", "20"] + arguments)
}

/// A port that was free a moment ago.
func freePort() throws -> String {
  let socket = try Descriptor.stream(for: .ipv4(0x7F00_0001, port: 0))
  try socket.bind(to: .ipv4(0x7F00_0001, port: 0))
  return "\(try socket.localAddress().port ?? 0)"
}

/// A configuration that answers with a word.
private func configuration(_ port: String, _ word: String) -> String {
  "server {\n    listen :\(port)\n    route / { respond 200 \"\(word)\" }\n}\n"
}

@Suite("A running instance", .timeLimit(.minutes(5)))
struct InstanceTests {
  @Test("serves over IPv4 and IPv6, is reloaded and upgraded in place, and stops")
  func life() throws {
    let port = try freePort()
    let folder = try Folder()
    let file = try folder.write("a.conf", configuration(port, "one"))
    let instance = try Instance("run", "--config", file)
    #expect(try curl("http://127.0.0.1:\(port)/").output == "one")
    #expect(try curl("http://[::1]:\(port)/").output == "one")

    _ = try folder.write("a.conf", wrong)
    let refused = try instance.ask("reload")
    #expect(refused.status == 3 && refused.errors.contains("\(file):3:5"))
    #expect(try curl("http://127.0.0.1:\(port)/").output == "one")

    _ = try folder.write("a.conf", configuration(port, "two"))
    #expect(try instance.ask("reload").output == "generation 2 is in force\n")
    #expect(try curl("http://127.0.0.1:\(port)/").output == "two")

    #expect(try instance.ask("upgrade").output.hasPrefix("upgraded to "))
    #expect(try curl("http://127.0.0.1:\(port)/").output == "two")

    let named = try folder.write(
      "named.conf",
      "state_directory \(instance.state)\n" + configuration(port, "two")
    )
    #expect(try martlet("status", "--config", named).output.contains("\(instance.number)"))

    let status = try instance.ask("status").output
    #expect(status.contains("process \(instance.number)") && status.contains("generation 3"))
    let json = try instance.ask("status", "--json").output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    #expect(object?["process"] as? Int32 == instance.number)

    let metrics = try curl("--unix-socket", instance.state + "/admin.sock", "http://a/metrics")
    #expect(metrics.output.contains("\nmartlet_requests_ended_total{reason=\"complete\"} "))

    #expect(try instance.ask("stop").output == "stopped\n")
    #expect(instance.end() == 0)
    #expect(try curl("http://127.0.0.1:\(port)/").status == 7)
  }

  @Test("balances without a configuration")
  func proxy() throws {
    let members = [try freePort(), try freePort()]
    let folder = try Folder()
    let servers = try members.map { port in
      try Instance("run", "--config", try folder.write(port, configuration(port, port)))
    }
    let port = try freePort()
    let proxy = try Instance(
      "proxy",
      "--listen",
      "127.0.0.1:\(port)",
      "--to",
      members.map { "127.0.0.1:\($0)" }.joined(separator: ",")
    )
    let answers = try (0..<4).map { _ in try curl("http://127.0.0.1:\(port)/").output }
    #expect(Set(answers) == Set(members))
    #expect(try proxy.ask("stop").status == 0)
    for server in servers { #expect(try server.ask("stop").status == 0) }
  }

  @Test("goes on after its edge process was killed")
  func killedEdge() throws {
    let port = try freePort()
    let folder = try Folder()
    let file = try folder.write("a.conf", configuration(port, "here"))
    let instance = try Instance("run", "--config", file)
    for _ in 0..<3 {
      let json = try instance.ask("status", "--json").output
      let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
      let edges = try #require(object?["edges"] as? [[String: Any]])
      for edge in edges {
        try Processes.send(.kill, to: try #require(edge["process"] as? Int32))
      }
      #expect(try curl("http://127.0.0.1:\(port)/").output == "here")
    }
    #expect(try instance.ask("stop").status == 0)
  }

  @Test("writes its access log to a file, and to the new one after it was renamed")
  func logs() throws {
    let port = try freePort()
    let folder = try Folder()
    let log = folder.path + "/access.log"
    let text = configuration(port, "x").replacing(
      "listen",
      with: "access_log \(log)\n    listen",
      maxReplacements: 1
    )
    let instance = try Instance("run", "--config", try folder.write("a.conf", text))
    #expect(try curl("http://127.0.0.1:\(port)/before").output == "x")
    try FileManager.default.moveItem(atPath: log, toPath: log + ".1")
    #expect(try instance.ask("reopen").status == 0)
    #expect(try curl("http://127.0.0.1:\(port)/after").output == "x")
    #expect(try instance.ask("stop").status == 0)
    // What was waiting to be written when the file was renamed may be in either.
    let new = try folder.read("access.log")
    #expect(try (folder.read("access.log.1") + new).contains("/before"))
    #expect(new.contains("/after"))
  }

  @Test("serves alone, for profiling")
  func standalone() throws {
    let port = try freePort()
    let folder = try Folder()
    let state = folder.path + "/state"
    let text = "state_directory \(state)\nadmin unix:admin.sock\n" + configuration(port, "alone")
    let file = try folder.write("a.conf", text)
    let process = Process()
    let output = Pipe()
    process.executableURL = program
    process.arguments = ["edge", "--standalone", "--config", file]
    process.standardOutput = output
    try process.run()
    _ = try output.fileHandleForReading.read(upToCount: 1)
    #expect(try curl("http://127.0.0.1:\(port)/").output == "alone")
    #expect(FileManager.default.fileExists(atPath: state + "/admin.sock"))
    process.terminate()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }
}
