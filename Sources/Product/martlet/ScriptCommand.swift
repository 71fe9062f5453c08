import ArgumentParser
import Directives
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem
import ScriptRunner
import Supervision
import Synchronization

/// `martlet cgi`.
struct ScriptCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cgi",
    abstract: "Run the scripts of a folder by CGI, for routes that ask by FastCGI.",
    discussion: """
      Each request starts a process, without a shell, with an environment of its own, in a group of processes that \
      is killed when the request is over. Start it as the user whom scripts are to be, or with --user, which should \
      be another one than that of `martlet run`.
      """
  )

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where to listen: a Unix socket, or an address of this machine.",
      valueName: "address"
    )
  )
  var listen: String

  @Option(
    name: .long,
    help: ArgumentHelp("The folder of the scripts.", valueName: "folder"),
    completion: .directory
  )
  var root: String

  @Option(
    name: .long,
    help: ArgumentHelp("Whom scripts are; root must start it then.", valueName: "user")
  )
  var user: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "The rights of a Unix socket, in octal; it belongs to the user.",
      valueName: "rights"
    )
  )
  var mode = "660"

  @Option(
    name: .long,
    help: ArgumentHelp("How many scripts run at once, 1 to 10000.", valueName: "number")
  )
  var processes = 16

  @Option(
    name: .long,
    help: ArgumentHelp("How long a script may take, as `30s`.", valueName: "time")
  )
  var time = "60s"

  @Option(
    name: .long,
    help: ArgumentHelp("How much processor time a script may use, as `10s`.", valueName: "time")
  )
  var processorTime: String?

  @Option(
    name: .long,
    help: ArgumentHelp("How much memory a script may have, as `256MB`.", valueName: "size")
  )
  var memory: String?

  /// What was written, understood.
  private struct Wanted {
    var address: SocketAddress
    var limits = ScriptLimits()
  }

  private func understood() throws -> Wanted {
    let times = ValueKind<Duration>.duration(within: .seconds(1) ... .seconds(86_400))
    do throws(ValueError) {
      var wanted = Wanted(address: try place())
      wanted.limits.time = try times.read(time)
      wanted.limits.processorTime = try processorTime.map { text throws(ValueError) in
        try times.read(text)
      }
      wanted.limits.memoryBytes = try memory.map { text throws(ValueError) in
        try ValueKind<Int>.size(within: 16 << 20...1 << 40).read(text)
      }
      wanted.limits.processCount = processes
      return wanted
    } catch {
      throw ValidationError("\(error.problem)\(error.mend.map { ": write \($0)" } ?? "")")
    }
  }

  private func place() throws(ValueError) -> SocketAddress {
    switch try Address(listen) {
    case .unix(let path): return .unix(path)
    case .ip(let host, let port):
      guard let address = SocketAddress(host: "\(host)", port: port) else { break }
      return address
    default: break
    }
    throw ValueError("`\(listen)` is no place to listen", mend: "unix:/run/martlet/cgi.sock")
  }

  func validate() throws {
    guard (1...10_000).contains(processes) else {
      throw ValidationError("--processes: write a number from 1 to 10000")
    }
    guard let rights = UInt32(mode, radix: 8), rights <= 0o777 else {
      throw ValidationError("--mode: write it as `660`")
    }
    guard root.hasPrefix("/") else {
      throw ValidationError("--root: write the whole path of the folder")
    }
    _ = try understood()
  }

  func run() throws {
    let wanted = try understood()
    do throws(SystemError) {
      let rights = try user.map { name throws(SystemError) in try UserRights(user: name) }
      let socket = try bind(wanted.address, for: rights)
      try rights?.assume()
      try UserRights.forbidNewRights()
      let number = socket.release()
      let (limits, root) = (wanted.limits, root)
      let loop = try EventLoop()
      let failure = Mutex<SystemError?>(nil)
      loop.run(until: {
        do throws(SystemError) {
          let listener = try Listener(adopting: Descriptor(adopting: number), on: loop)
          let server = try ScriptServer(limits, root: root, on: loop) { Console.complain($0) }
          Console.complain("runs the scripts below \(root) for FastCGI at \(listener.address)")
          await server.run(listener)
        } catch {
          failure.withLock { $0 = error }
        }
      })
      if let error = failure.withLock(\.self) { throw error }
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }

  /// Listens; a Unix socket that an earlier run has left is replaced.
  private func bind(
    _ address: SocketAddress,
    for rights: UserRights?
  ) throws(SystemError) -> Descriptor {
    guard case .unix(let path) = address else { return try Listener.bind(address) }
    let end = path.lastIndex(of: "/") ?? path.startIndex
    let folder = try Folder(end == path.startIndex ? "/" : String(path[..<end]))
    let name = Array(path[end...].utf8.drop { $0 == 0x2F })
    // No file of another kind is lost.
    if case .other? = kind(of: name, in: folder) { try Files.remove(path) }
    let socket = try Listener.bind(address)
    if let rights { try Files.give(path, to: rights) }
    try Files.setRights(of: path, to: UInt32(mode, radix: 8) ?? 0o660)
    return socket
  }

  private func kind(of name: [UInt8], in folder: borrowing Folder) -> FileFacts.Kind? {
    do throws(SystemError) { return try folder.facts(of: name, follows: false).kind } catch {
      return nil
    }
  }
}
