import ArgumentParser
import Configuration
import Locking
import MartletLoop
import MartletProcess
import MartletSync
import MartletSystem
import Supervision

/// `martlet lock`.
struct LockCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock",
    abstract: "Run a command while no other machine does.",
    discussion: """
      The lock is kept in a folder, a Redis or an etcd, and is renewed while the command runs. The command finds the \
      lock's token in MARTLET_LOCK_TOKEN: a number that is larger than those of all that had the lock before, \
      by which whatever it writes to can refuse one that comes too late. When the lock is lost, the command is \
      killed with all that it has started, and this one ends with 1; otherwise it ends as the command does.
      """
  )

  @Argument(help: "What the lock is called, 1 to 200 bytes.")
  var name: String

  @Argument(parsing: .postTerminator, help: "The command, behind `--`.")
  var command: [String]

  @Option(name: .long, help: ArgumentHelp("Keep it in this folder.", valueName: "path"))
  var folder: String?

  @Option(name: .long, help: ArgumentHelp("Keep it in the Redis there.", valueName: "host:port"))
  var redis: String?

  @Option(name: .long, help: ArgumentHelp("Keep it in the etcd there.", valueName: "host:port"))
  var etcd: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "After how many seconds it ends without this one, 1 to 3600.",
      valueName: "n"
    )
  )
  var lease = 10

  @Option(name: .long, help: ArgumentHelp("How many seconds to wait for it.", valueName: "n"))
  var wait = 0

  func validate() throws {
    guard [folder, redis, etcd].count(where: { $0 != nil }) == 1 else {
      throw ValidationError("write one of --folder, --redis and --etcd")
    }
    guard 1...3600 ~= lease else { throw ValidationError("--lease: write a number from 1 to 3600") }
    guard 0...1_000_000 ~= wait else {
      throw ValidationError("--wait: write a number from 0 to 1000000")
    }
    guard 1...200 ~= name.utf8.count else {
      throw ValidationError("the name of a lock has 1 to 200 bytes")
    }
    guard command.first?.contains("/") == true else {
      throw ValidationError("write the command with its path behind `--`, as `-- /usr/bin/make`")
    }
  }

  func run() throws {
    let place = try place()
    let loop = try EventLoop()
    let outcome = Locked<Result<ProcessEnd, CommandFailure>>(.success(.code(0)))
    let lock = self
    loop.run(until: {
      let result: Result<ProcessEnd, CommandFailure>
      do throws(CommandFailure) {
        result = .success(try await lock.work(place, on: loop))
      } catch {
        result = .failure(error)
      }
      outcome.withLock { $0 = result }
    })
    switch try outcome.withLock({ $0 }).get() {
    case .code(0): return
    case .code(let code): Processes.exit(code)
    case .signal(let signal): Processes.exit(128 + signal.number)
    }
  }

  private enum Place: Sendable {
    case folder(String)
    case redis(SocketAddress)
    case etcd(SocketAddress)
  }

  private func place() throws(CommandFailure) -> Place {
    if let folder { return .folder(folder) }
    let text = redis ?? etcd ?? ""
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let port = UInt16(parts[1]), !parts[0].isEmpty else {
      throw CommandFailure(.usage, "\(text): write it as 127.0.0.1:6379")
    }
    let found: [SocketAddress]
    do throws(ResolutionError) {
      found = try SocketAddress.resolve(String(parts[0]), port: port)
    } catch {
      throw CommandFailure(.failure, error.description)
    }
    guard let address = found.first else {
      throw CommandFailure(.failure, "\(text) has no address")
    }
    return redis != nil ? .redis(address) : .etcd(address)
  }

  private func work(
    _ place: Place,
    on loop: EventLoop
  ) async throws(CommandFailure) -> ProcessEnd {
    let service: any LockService =
      switch place {
      case .folder(let path): FileLocks(in: path)
      case .redis(let address): RedisLocks(at: address, on: loop)
      case .etcd(let address): EtcdLocks(at: address, on: loop)
      }
    do {
      let taken = try await DistributedLock.take(
        name,
        from: service,
        lease: .seconds(lease),
        within: .seconds(wait),
        on: loop
      )
      guard let taken else {
        throw CommandFailure(.failure, "another one has the lock \(name)")
      }
      var program = Program(command[0], arguments: Array(command.dropFirst()))
      program.set("MARTLET_LOCK_TOKEN", to: String(taken.token))
      program.endsWithParent = true
      let child = try ChildProcess.start(program, on: loop)
      loop.spawn {
        await taken.untilLost()
        // It was released behind its end, or it is not ours any more.
        if child.end == nil { Processes.killTree(child.number) }
      }
      let end = try await child.ended()
      guard taken.isHeld else { throw CommandFailure(.failure, "the lock \(name) was lost") }
      try await taken.release()
      return end
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }
}
