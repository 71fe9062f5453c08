import Foundation
import GatewayProtocols
import MartletBytes
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem
import ScriptRunner
import Synchronization
import Testing

@Suite("Scripts by CGI", .timeLimit(.minutes(2)))
struct ScriptRunnerTests {
  /// What came of a request.
  private struct Answer: Sendable {
    var text = ""
    var said = ""
    var hasEnded = false
    var lines: [String] = []
  }

  /// Asks for a script with this text, and reads the answer to its end.
  private func ask(
    _ script: String,
    content: String = "",
    path: String = "/a.sh",
    isExecutable: Bool = true,
    _ change: (inout ScriptLimits) -> Void = { _ in }
  ) async throws -> Answer {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("scripts-\(UInt32.random(in: 0 ..< .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("a.sh")
    try Data(("#!/bin/sh\n" + script).utf8).write(to: file)
    let rights = isExecutable ? 0o755 : 0o644
    try FileManager.default.setAttributes([.posixPermissions: rights], ofItemAtPath: file.path)
    var limits = ScriptLimits()
    change(&limits)
    let (root, socket, asked) = (folder.path, folder.path + "/socket", limits)
    var request = GatewayRequest(.fastCGI)
    request.add("REQUEST_METHOD", "POST")
    request.add("SCRIPT_FILENAME", root + path)
    request.add("CONTENT_LENGTH", "\(content.utf8.count)")
    request.add("QUERY_STRING", "a=b&$(id)")
    request.add("HTTP_PROXY", "http://evil/")
    request.add("LD_PRELOAD", "/evil.so")
    let length = UInt64(content.utf8.count)
    var bytes = request.encoded(contentLength: length, keepsConnection: false)
    if !content.isEmpty {
      FastCGIRecord(.standardInput, request: 1, contentCount: content.utf8.count).append(to: &bytes)
      bytes += Array(content.utf8)
    }
    FastCGIRecord(.standardInput, request: 1, contentCount: 0).append(to: &bytes)
    let sent = bytes
    let found = Mutex(Answer())
    let loop = try EventLoop()
    try loop.startThread()
    await loop.perform {
      do {
        let answer = try await Self.serve(root, socket, asked, sent, on: loop)
        found.withLock { $0 = answer }
      } catch {
        found.withLock { $0.lines.append("\(error)") }
      }
    }
    loop.stop()
    return found.withLock(\.self)
  }

  private static func serve(
    _ root: String,
    _ socket: String,
    _ limits: ScriptLimits,
    _ request: [UInt8],
    on loop: EventLoop
  ) async throws -> Answer {
    let listener = try Listener(adopting: try Listener.bind(.unix(socket)), on: loop)
    let lines = Lines()
    let server = try ScriptServer(limits, root: root, on: loop) { lines.all.append($0) }
    loop.spawn { await server.run(listener) }
    let deadline = loop.deadline(after: Timeout(.seconds(60)))
    let stream = try await Stream.connect(to: .unix(socket), on: loop, by: deadline)
    try await stream.write(request, by: deadline)
    var answer = GatewayAnswer(.fastCGI)
    answer.begin(isHead: false)
    var text: [UInt8] = []
    var said: [UInt8] = []
    while true {
      let bytes = try await stream.read(.body, by: deadline)
      if bytes.isEmpty { break }
      try answer.receive(bytes.bytes)
      while answer.hasOutput { _ = answer.read(upTo: 4096) { text.append(copying: $0) } }
      said += answer.takeSaid() ?? []
    }
    listener.cancel()
    return Answer(
      text: String(decoding: text, as: UTF8.self),
      said: String(decoding: said, as: UTF8.self),
      hasEnded: answer.hasEnded,
      lines: lines.all
    )
  }

  private final class Lines { var all: [String] = [] }

  @Test("get the content, an environment of their own, and no words of the client anywhere else")
  func environment() async throws {
    let script = """
      echo "A: b"; echo
      echo "$# $QUERY_STRING [$HTTP_PROXY$LD_PRELOAD$HOME] $(cat)"
      echo to-the-log >&2
      """
    let answer = try await ask(script, content: "content")
    #expect(answer.text.contains("0 a=b&$(id) [] content\n"))
    #expect(answer.said == "to-the-log\n" && answer.hasEnded)
  }

  @Test("may take what the limits say, and no more")
  func limits() async throws {
    let slow = try await ask("echo 'A: b'; echo; echo begun; sleep 100") { $0.time = .seconds(1) }
    #expect(slow.text.contains("begun") && !slow.hasEnded)
    #expect(slow.lines.contains { $0.hasSuffix("takes longer than it may") })
    let silent = try await ask("sleep 100") { $0.time = .seconds(1) }
    #expect(silent.text.hasPrefix("HTTP/1.1 504") && silent.hasEnded)
    let busy = try await ask("while :; do :; done") { $0.processorTime = .seconds(1) }
    #expect(busy.text.hasPrefix("HTTP/1.1 502"))
    #expect(busy.lines.contains { $0.contains("has said nothing; was ended by") })
    let none = try await ask("echo 'A: b'; echo") { $0.processCount = 0 }
    #expect(none.text.hasPrefix("HTTP/1.1 503"))
  }

  @Test("leave nothing behind")
  func rest() async throws {
    let answer = try await ask("sleep 1000 & echo 'A: b'; echo; echo pid=$!")
    #expect(answer.hasEnded)
    let words = answer.text.split { $0.isNewline || $0 == "=" }
    let number = try #require(words.firstIndex(of: "pid").flatMap { Int32(words[$0 + 1]) })
    // It is reaped by whoever takes over orphans, a moment later.
    let state = (try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)) ?? ") Z"
    #expect(state.contains(") Z") || state.contains(") X"))
  }

  @Test("are programs below the root alone", arguments: ["/../a.sh", "/none.sh", "/socket", "/"])
  func paths(path: String) async throws {
    let answer = try await ask("echo 'A: b'; echo; echo ran", path: path)
    #expect(answer.text.hasPrefix("HTTP/1.1 40") && !answer.text.contains("ran"))
  }

  @Test("are programs, and not other files")
  func programs() async throws {
    let answer = try await ask("echo 'A: b'; echo; echo ran", isExecutable: false)
    #expect(answer.text.hasPrefix("HTTP/1.1 403"))
  }
}
