import ArgumentParser
import Certificates
import Configuration
import MartletLoop
import MartletProcess
import MartletSystem
import Supervision
import Synchronization
import TLS

/// `martlet trust`.
struct TrustCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trust",
    abstract: "Let this machine believe the local authority, which vouches for private names.",
    discussion: """
      Installs its certificate where Debian and its relatives keep those of authorities. Browsers \
      that keep their own, and other machines, get what --print writes.
      """
  )

  @Flag(name: .customLong("print"), help: "Write the certificate, and change nothing.")
  var prints = false

  @Flag(name: .long, help: "Take back what was installed.") var remove = false

  @Option(
    name: .long,
    help: ArgumentHelp("Where certificates are kept.", valueName: "dir"),
    completion: .directory
  )
  var storage: String?

  @Option(
    name: .long,
    help: ArgumentHelp("A configuration that names its storage.", valueName: "file"),
    completion: .file(extensions: ["conf"])
  )
  var config: String?

  private static let folder = "/usr/local/share/ca-certificates"
  private static let updater = "/usr/sbin/update-ca-certificates"

  func validate() throws {
    if prints, remove { throw ValidationError("--print and --remove do not go together") }
  }

  func run() throws {
    if remove { return try takeBack() }
    let pem = try root()
    if prints {
      return Console.sayText(String(decoding: pem, as: UTF8.self))
    }
    let certificates: TLSCertificates
    do throws(TLSError) {
      certificates = try TLSCertificates(pem: pem)
    } catch {
      throw CommandFailure(.failure, "the local authority cannot be used: \(error)")
    }
    let path = "\(Self.folder)/martlet-\(certificates.fingerprint.prefix(16)).crt"
    try change("cannot write \(path)") { () throws(SystemError) in
      try Files.write(pem, to: path, rights: 0o644)
    }
    try update()
    Console.say(
      "\(path) was written, and \(Self.updater) has put it among the authorities of this machine:"
    )
    Console.say("\(certificates.commonName), SHA-256 \(certificates.fingerprint)")
    Console.say("Programs that were running learn of it when they are started again.")
  }

  private func root() throws(CommandFailure) -> [UInt8] {
    let configured = try configured()
    let place = CertificateStorage(storage ?? configured ?? CertificateStorage.usual)
    do throws(CertificateFault) {
      if let pem = try place.localRoot() { return pem }
    } catch {
      throw CommandFailure(.noRight, "\(error)")
    }
    throw CommandFailure(
      .failure,
      "there is no local authority in \(place.path): it is made when a server with `tls auto` and a "
        + "private name is served; name another place with --storage"
    )
  }

  private func configured() throws(CommandFailure) -> String? {
    try config.flatMap { file throws(CommandFailure) in
      try CheckedConfiguration(.file(file)).configuration.issuance.storage
    }
  }

  private func takeBack() throws(CommandFailure) {
    let names = Files.names(in: Self.folder).filter { name in
      name.hasPrefix("martlet-") && name.hasSuffix(".crt")
    }
    guard !names.isEmpty else { return Console.say("nothing of Martlet is in \(Self.folder)") }
    for name in names.sorted() {
      let path = "\(Self.folder)/\(name)"
      try change("cannot remove \(path)") { () throws(SystemError) in try Files.remove(path) }
      Console.say("\(path) was removed")
    }
    try update(["--fresh"])
    Console.say("\(Self.updater) has taken it from the authorities of this machine")
  }

  private func change(
    _ problem: String,
    _ body: () throws(SystemError) -> Void
  ) throws(CommandFailure) {
    do throws(SystemError) {
      try body()
    } catch {
      let mend =
        error.code == 2
        ? "this is no Debian: put what `martlet trust --print` writes where the system keeps authorities"
        : "act as root, for example with sudo, and name the storage with --storage"
      throw CommandFailure(error.code == 2 ? .failure : .noRight, "\(problem): \(error); \(mend)")
    }
  }

  /// Has the system take in what was changed.
  private func update(_ arguments: [String] = []) throws(CommandFailure) {
    var program = Program(Self.updater, arguments: arguments)
    program.discardsOutput = true
    let end: ProcessEnd
    do throws(SystemError) {
      end = try run(program)
    } catch {
      throw CommandFailure(.failure, "cannot run \(Self.updater): \(error)")
    }
    guard end == .code(0) else { throw CommandFailure(.failure, "\(Self.updater) \(end)") }
  }

  private func run(_ program: Program) throws(SystemError) -> ProcessEnd {
    let outcome = Mutex<Result<ProcessEnd, SystemError>>(.success(.code(1)))
    let loop = try EventLoop()
    loop.run(until: {
      loop.checkIsolated()
      do throws(SystemError) {
        let child = try ChildProcess.start(program, on: loop)
        do throws(WaitError) {
          let end = try await child.ended()
          outcome.withLock { $0 = .success(end) }
        } catch {
          // What has not ended counts as a failure.
        }
      } catch {
        outcome.withLock { $0 = .failure(error) }
      }
    })
    return try outcome.withLock(\.self).get()
  }
}
