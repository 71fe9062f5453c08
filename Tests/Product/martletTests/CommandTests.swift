import Foundation
import Testing

/// What a run of the program gave.
struct Outcome {
  var status: Int32
  var output: String
  var errors: String
}

/// The program that was built with these tests.
let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  .deletingLastPathComponent().appendingPathComponent("martlet")

/// Runs a program to its end; neither of its outputs may be longer than a pipe holds.
func run(_ path: URL, _ arguments: [String]) throws -> Outcome {
  let process = Process()
  process.executableURL = path
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

/// Runs `martlet` to its end.
func martlet(_ arguments: String...) throws -> Outcome { try run(program, arguments) }

/// A folder that is removed with its last use.
final class Folder {
  let path = "/tmp/martlet-test-\(UUID().uuidString.prefix(13))"

  init() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and returns its path.
  func write(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
    return "\(path)/\(name)"
  }

  func read(_ name: String) throws -> String {
    try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
  }
}

let wrong = "server {\n    listen :8080\n    lissen :8081\n}\n"

@Suite("Commands", .timeLimit(.minutes(5)))
struct CommandTests {
  @Test("tell the version")
  func version() throws {
    let outcome = try martlet("--version")
    #expect(outcome.status == 0)
    #expect(outcome.output.wholeMatch(of: /martlet \d+\.\d+\.\d+\n/) != nil)
  }

  @Test(
    "end with code 2 when the arguments are wrong",
    arguments: [
      ["fly"], ["run", "--fast"], ["proxy", "--to", "127.0.0.1:1"], ["edge"],
      ["reference", "lissen"],
      ["proxy", "--listen", "8080", "--to", "127.0.0.1:1"],
    ]
  )
  func usage(arguments: [String]) throws {
    let outcome = try run(program, arguments)
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty && !outcome.errors.isEmpty)
  }

  @Test("say how an address is written")
  func addressMend() throws {
    let outcome = try martlet("proxy", "--listen", "8080", "--to", "127.0.0.1:1")
    #expect(outcome.errors.contains("--listen :8080"))
  }

  @Test("end with code 7 when nothing runs", arguments: ["status", "reload", "upgrade", "stop"])
  func notRunning(command: String) throws {
    let outcome = try martlet(command, "--state-directory", "/tmp/martlet-of-nobody")
    #expect(outcome.status == 7)
    #expect(outcome.errors.contains("/tmp/martlet-of-nobody"))
  }

  @Test("check a configuration: code 3 with the place of each error")
  func check() throws {
    let folder = try Folder()
    let bad = try folder.write("bad.conf", wrong)
    for command in ["check", "run"] {
      let outcome = try martlet(command, "--config", bad)
      #expect(outcome.status == 3 && outcome.errors.contains("\(bad):3:5"))
      #expect(outcome.errors.contains("listen"))
    }
    let json = try martlet("check", "--json", "--config", bad)
    let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
    #expect(json.status == 3 && object?["valid"] as? Bool == false)
    #expect(try martlet("check").status == 0)
    let missing = try martlet("check", "--config", folder.path + "/none.conf")
    #expect(missing.status == 3 && missing.errors.contains("none.conf"))
  }

  @Test("read included files of a pattern, in the order of their names")
  func includes() throws {
    let folder = try Folder()
    for name in ["b.conf", "a.conf", "c.txt", ".d.conf"] {
      _ = try folder.write(name, "server \(name.replacing(".", with: "-")).example { listen :1 }\n")
    }
    let main = try folder.write("main", "include *.conf\nserver last.example { listen :1 }\n")
    let outcome = try martlet("check", "--config", main)
    #expect(outcome.status == 0 && outcome.output.contains("3 servers"))
  }

  @Test("rewrite files in their usual form, or only tell")
  func format() throws {
    let folder = try Folder()
    let file = try folder.write("a.conf", "server   {\nlisten :8080\n}\n")
    let told = try martlet("fmt", "--check", file)
    #expect(told.status == 1 && told.errors.contains("martlet fmt \(file)"))
    #expect(try folder.read("a.conf").contains("server   {"))
    #expect(try martlet("fmt", file).status == 0)
    #expect(try folder.read("a.conf").contains("server {"))
    #expect(try martlet("fmt", "--check", file).status == 0)
    #expect(try martlet("fmt", try folder.write("b.conf", "server {\n")).status == 3)
  }

  @Test("explain directives")
  func reference() throws {
    #expect(try martlet("reference", "listen").output.contains("listen"))
    #expect(try martlet("reference").output.hasPrefix("# "))
    #expect(try martlet("reference", "lissen").errors.contains("`listen`"))
  }

  @Test("complete in shells", arguments: ["bash", "zsh", "fish"])
  func completion(shell: String) throws {
    let outcome = try martlet("completion", shell)
    #expect(outcome.status == 0 && outcome.output.contains("upgrade"))
  }
}
