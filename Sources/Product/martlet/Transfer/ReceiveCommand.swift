import ArgumentParser
import Directives
import Edge
import JSON
import MartletLoop
import MartletNet
import MartletProcess
import MartletSync
import MartletSystem
import Supervision
import TLS

/// `martlet receive`.
struct ReceiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receive",
    abstract: "Receive what `martlet send` sends, into a folder.",
    discussion: """
      Nothing leaves the folder, and nothing goes through a symbolic link in it. What has not come whole is kept \
      in \(ReceiveFolder.workName) below it until it is sent to its end. Without --replace, what is there stays. \
      With --certificate it speaks TLS.
      """
  )

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where senders connect; may be repeated. 127.0.0.1:7070 if none is named.",
      valueName: "address"
    )
  )
  var listen: [String] = []

  @Option(
    name: .long,
    help: ArgumentHelp("The folder; it must be there.", valueName: "dir"),
    completion: .directory
  )
  var into: String

  @Flag(name: .long, help: "End when a sender is done.")
  var once = false

  @Flag(name: .long, help: "Put what comes in the place of files of the same name.")
  var replace = false

  @Flag(name: .long, help: "Have each file written to the disk before it is acknowledged.")
  var sync = false

  @Option(
    name: .long,
    help: ArgumentHelp("Authorities that vouch for senders, which need one.", valueName: "file"),
    completion: .file()
  )
  var clientCa: String?

  @OptionGroup var options: TransferOptions

  func validate() throws {
    guard clientCa == nil || options.certificate != nil else {
      throw ValidationError("--client-ca needs --certificate")
    }
    _ = try addresses()
  }

  func run() throws {
    let writesJSON = options.json
    let folder: ReceiveFolder
    do throws(SystemError) {
      folder = try ReceiveFolder(into, replaces: replace, syncs: sync)
    } catch {
      throw CommandFailure(.failure, "\(into): \(error)")
    }
    let receiver = try Receiver(
      into: folder,
      context: try context(),
      token: try options.token().map { Array($0.utf8) },
      endsWithSender: once
    ) { file, digest in
      Console.say(
        writesJSON
          ? TransferText.line(file, digest) : "\(file.name), \(TransferText.bytes(file.byteCount))"
      )
    }
    let (addresses, begin) = (try addresses(), ContinuousClock.now)
    let loops = try ReceiveLoops(count: Self.loopCount)
    for address in addresses { try Self.serve(try Self.bound(to: address), receiver, on: loops) }
    receiver.isOver.wait()
    report(receiver.tally, ContinuousClock.now - begin)
  }

  /// More would wait for each other on small machines.
  private static let loopCount = 2

  private func addresses() throws -> [SocketAddress] {
    try (listen.isEmpty ? ["127.0.0.1:7070"] : listen).map { text in
      // Port 0 is any that is free, which no configuration may say.
      let isAny = text.hasSuffix(":0")
      let address = try Address(option: "--listen", isAny ? text.dropLast() + "1" : text)
      switch address {
      case .unix(let path): return .unix(path)
      case .any(let port): return .ipv4(0, port: isAny ? 0 : port)
      case .ip(let ip, let port):
        if let address = SocketAddress(host: "\(ip)", port: isAny ? 0 : port) { return address }
      case .name: break
      }
      throw ValidationError("--listen: write an address of this machine, as 127.0.0.1:7070")
    }
  }

  private func context() throws -> TLSContext? {
    guard let identity = try options.identity() else {
      return nil
    }
    let authorities = try TransferFiles.authorities(clientCa)
    return try TLSContext(
      server: "transfer",
      [identity],
      policy: .intermediate,
      protocols: [TransferFile.protocolName],
      resumption: TLSResumption(tickets: nil, cacheCount: 0),
      verification: authorities.map { TLSVerification($0, isRequired: true) }
    )
  }

  private static func bound(to address: SocketAddress) throws(CommandFailure) -> Descriptor {
    do throws(SystemError) {
      let socket = try Listener.bind(address)
      Console.say("listening on \(try socket.localAddress())")
      return socket
    } catch {
      throw CommandFailure(.cannotListen, "\(address): \(error)")
    }
  }

  /// Accepts connections on a loop with a thread of its own, and has each served on the loop with the fewest.
  private static func serve(
    _ socket: consuming Descriptor,
    _ receiver: Receiver,
    on loops: ReceiveLoops
  ) throws(SystemError) {
    let number = socket.release()
    let loop = try EventLoop()
    try Thread.start {
      loop.run(until: {
        do {
          let listener = try Listener(adopting: Descriptor(adopting: number), on: loop)
          while true { try await accept(listener, receiver, on: loop, loops) }
        } catch {
          Console.complain("nothing more is accepted: \(error)")
        }
      })
    }
  }

  private static func accept(
    _ listener: Listener,
    _ receiver: Receiver,
    on loop: EventLoop,
    _ loops: ReceiveLoops
  ) async throws {
    do {
      let accepted = try await listener.accept()
      let peer = accepted.peer
      let number = accepted.descriptor.release()
      loop.spawn {
        await loops.run { loop in
          await serve(Descriptor(adopting: number), from: peer, receiver, on: loop)
        }
      }
    } catch {
      // No descriptor is free, for one: the connection waits in the kernel's queue.
      Console.complain("not accepted: \(error)")
      try await loop.sleep(for: .milliseconds(100))
    }
  }

  private static func serve(
    _ socket: consuming Descriptor,
    from peer: SocketAddress,
    _ receiver: Receiver,
    on loop: EventLoop
  ) async {
    do {
      let stream = try MartletNet.Stream(adopting: socket, on: loop)
      if let context = receiver.context {
        let session = try TLSSession(context, socket: stream.descriptor, as: .server)
        try await session.begin(
          on: stream,
          loop,
          by: loop.deadline(after: Timeout(.seconds(20)))
        )
      }
      try await ReceiveSession(receiver, stream, on: loop).run()
    } catch TLSHandshakeError.failed(let failure) {
      Console.complain("\(peer): \(failure.words)")
    } catch {
      Console.complain("\(peer): \(error)")
    }
  }

  private func report(_ tally: Receiver.Tally, _ elapsed: Duration) {
    guard options.json else {
      return Console.say(
        "\(tally.fileCount) files, \(TransferText.bytes(tally.byteCount)) received in "
          + "\(TransferText.seconds(elapsed)) s, \(tally.presentCount) were there, "
          + "\(tally.refusedCount) refusals"
      )
    }
    let line: JSONValue = .object([
      "files": .number(tally.fileCount), "bytes": .number(tally.byteCount),
      "present_files": .number(tally.presentCount), "refusals": .number(tally.refusedCount),
    ])
    Console.say(line.compact)
  }
}
