import CLinux
import GatewayProtocols
public import MartletLoop
public import MartletNet
import MartletProcess
public import MartletSystem

/// Runs the scripts of a folder, a process for each request that comes by FastCGI.
///
/// - Source: RFC 3875.
public final class ScriptServer {
  private let limits: ScriptLimits
  private let root: String
  private let folder: Folder
  private let loop: EventLoop
  private let say: (String) -> Void
  private var runningCount = 0

  /// Creates a server for the scripts below `root`, which is a whole path; `say` is given lines for the log.
  ///
  /// - Throws: ``SystemError`` when the folder cannot be opened.
  public init(
    _ limits: ScriptLimits,
    root: String,
    on loop: EventLoop,
    say: @escaping (String) -> Void
  ) throws(SystemError) {
    self.limits = limits
    var root = root
    while root.count > 1, root.hasSuffix("/") { root.removeLast() }
    self.root = root
    folder = try Folder(root)
    self.loop = loop
    self.say = say
  }

  /// Takes requests until the listener is cancelled.
  public func run(_ listener: Listener) async {
    while true {
      do throws(StreamError) {
        let accepted = try await listener.accept()
        let stream = try make(accepted.descriptor)
        let server = self
        loop.spawn(named: "serve a request for a script") { await server.serve(stream) }
      } catch {
        guard error != .cancelled else { return }
        // No descriptor is free, for one: the connection waits in the kernel's queue.
        say("a connection is not accepted: \(error)")
        do throws(WaitError) { try await loop.sleep(for: .milliseconds(100)) } catch { return }
      }
    }
  }

  private func make(_ descriptor: consuming Descriptor) throws(StreamError) -> Stream {
    do throws(SystemError) {
      return try Stream(adopting: descriptor, on: loop, assumesReady: true)
    } catch {
      throw .failed(error)
    }
  }

  /// Serves one connection, which carries one request after the other.
  private func serve(_ stream: Stream) async {
    let connection = ScriptConnection(stream, on: loop)
    do throws(ScriptFailure) {
      repeat {
        try await receive(connection)
        try await answer(connection)
      } while connection.request.keepsConnection
    } catch {
      if error.detail != Self.silence { say(error.detail) }
    }
  }

  /// Waits for the variables of a request.
  private func receive(_ connection: ScriptConnection) async throws(ScriptFailure) {
    do throws(ScriptFailure) {
      while try await connection.next(by: loop.deadline(after: Timeout(limits.idleTime))).event
        != .head
      {}
    } catch {
      // A connection that waits for a request may end.
      throw error.detail.hasPrefix("not") ? error : ScriptFailure(0, Self.silence)
    }
  }

  private static let silence = ""

  /// Runs the script that is asked for.
  private func answer(_ connection: ScriptConnection) async throws(ScriptFailure) {
    let deadline = loop.deadline(after: Timeout(limits.time))
    do throws(ScriptFailure) {
      guard runningCount < limits.processCount else {
        throw ScriptFailure(503, "\(limits.processCount) scripts run already")
      }
      runningCount += 1
      defer { runningCount -= 1 }
      let program = try program(for: connection.request)
      let script = try start(program)
      guard
        let run = ScriptRun(script, program.path, for: connection, until: deadline, on: loop)
      else {
        script.endGroup()
        throw ScriptFailure(503, "no timer is left")
      }
      let end = try await run.run()
      if end != .code(0) { say("\(program.path): \(end)") }
      try await finish(connection, end)
    } catch {
      guard error.status > 0 else { throw error }
      say(error.detail)
      try await refuse(error, connection)
    }
  }

  private func finish(
    _ connection: ScriptConnection,
    _ end: ProcessEnd
  ) async throws(ScriptFailure) {
    do throws(StreamError) {
      let code: UInt8 =
        if case .code(let code) = end { UInt8(truncatingIfNeeded: code) } else { 255 }
      try await connection.end(code: code, by: loop.deadline(after: Timeout(limits.idleTime)))
    } catch {
      throw ScriptFailure(0, "the end of an answer is not taken: \(error)")
    }
  }

  private func start(_ program: Program) throws(ScriptFailure) -> RunningScript {
    // A script finds what belongs to it beside itself.
    let end = program.path.lastIndex(of: "/") ?? program.path.startIndex
    do throws(SystemError) {
      return try RunningScript(program, in: String(program.path[..<end]), limits, on: loop)
    } catch {
      throw ScriptFailure(error.isOfFile ? 403 : 503, "\(program.path): \(error)")
    }
  }

  /// Tells the client that there is no answer of a script.
  private func refuse(
    _ failure: ScriptFailure,
    _ connection: ScriptConnection
  ) async throws(ScriptFailure) {
    let text =
      "Status: \(failure.status)\r\nContent-Type: text/plain\r\n\r\nThere is no answer of this script.\n"
    do throws(StreamError) {
      let deadline = loop.deadline(after: Timeout(limits.idleTime))
      try await connection.send(Array(text.utf8), by: deadline)
      try await connection.end(code: 1, by: deadline)
    } catch {
      throw ScriptFailure(0, "an answer is not taken: \(error)")
    }
    // What is still to come of the request would be taken for another one.
    throw ScriptFailure(0, Self.silence)
  }

  /// The program that a request names, with its environment.
  private func program(for request: FastCGIRequest) throws(ScriptFailure) -> Program {
    guard let path = request["SCRIPT_FILENAME"], path.hasPrefix(root + "/") else {
      throw ScriptFailure(404, "no script of \(root)")
    }
    let name = Array(path.utf8.dropFirst(root.utf8.count + 1))
    let isProgram: Bool
    do throws(SystemError) {
      // The kernel lets no step of the path leave the folder.
      let facts = try folder.open(name, links: .inside).facts()
      isProgram = facts.kind == .regular && facts.rights & 0o111 != 0
    } catch {
      throw ScriptFailure(404, "\(path): \(error)")
    }
    guard isProgram else { throw ScriptFailure(403, "\(path) is no program") }
    // A client's words reach the script in its environment and nowhere else: there is no shell, and there are no
    // arguments.
    var environment = ["PATH=/usr/local/bin:/usr/bin:/bin"]
    for (name, value) in request.variables where Self.isPassedOn(name) {
      environment.append("\(name)=\(value)")
    }
    return Program(path, arguments: [path], environment: environment)
  }

  /// Whether a variable is of CGI: what steers the loader or the shell of a script is not.
  private static func isPassedOn(_ name: String) -> Bool {
    if name.hasPrefix("HTTP_") { return name != "HTTP_PROXY" }
    return known.contains(name)
  }

  private static let known: Set<String> = [
    "AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE", "DOCUMENT_ROOT", "GATEWAY_INTERFACE", "HTTPS",
    "PATH_INFO", "PATH_TRANSLATED", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_HOST", "REMOTE_IDENT",
    "REMOTE_PORT", "REMOTE_USER", "REQUEST_METHOD", "REQUEST_SCHEME", "REQUEST_URI",
    "SCRIPT_FILENAME", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
  ]
}

extension SystemError {
  /// Whether the file is what is wrong: it is no program, its interpreter is missing, or it may not be run.
  fileprivate var isOfFile: Bool { [ENOENT, EACCES, ENOEXEC, ENOTDIR].contains(code) }
}
