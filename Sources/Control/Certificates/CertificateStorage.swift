import Configuration
import JSON
import Locking
public import MartletSystem
import TLS

/// Why certificates cannot be kept, read or made here.
public struct CertificateFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, with the place, and the mend where there is one.
  public var description: String

  /// Creates a fault.
  public init(_ description: String) { self.description = description }
}

/// The directory in which keys and certificates outlive restarts, shared by all instances that name it.
///
/// ```
///   lock                 held while something here is made once
///   account.key          the key of our accounts
///   accounts/…           what authorities call them
///   certificates/NAME.pem    the key, the certificate, and those that vouch for it
///   certificates/NAME.json   where it came from
///   certificates/NAME.lock   held by who obtains it
///   local/root.pem, root.key, names    the authority of this machine
///   local/revoked        what it has taken back
///   ocsp/NAME.der        what a responder has said of a certificate
/// ```
///
/// Only its owner may enter it; files have mode 600, and are put in place whole or not at all.
public struct CertificateStorage: Hashable, Sendable {
  /// The longest file that is read.
  static let fileBytes = 256 << 10

  /// Where it is.
  public let path: String

  /// Names a directory.
  public init(_ path: String) { self.path = path }

  /// Where it is when nobody says.
  public static var usual: String {
    if Processes.ownUser == 0 { return "/var/lib/martlet/certificates" }
    if let home = Program.ownVariable("XDG_DATA_HOME"), home.hasPrefix("/") {
      return "\(home)/martlet/certificates"
    }
    if let home = Program.ownVariable("HOME"), home.hasPrefix("/") {
      return "\(home)/.local/share/martlet/certificates"
    }
    return "/tmp/martlet-certificates-\(Processes.ownUser)"
  }

  /// Makes the directory if it is not there, for the user that will use it.
  ///
  /// - Parameter owner: The user; nil: that of this process.
  /// - Throws: ``CertificateFault``.
  public func prepare(for owner: UserRights? = nil) throws(CertificateFault) {
    do throws(SystemError) {
      try Files.makePrivateDirectory(path, for: owner)
    } catch {
      throw CertificateFault("cannot make the storage \(path): \(error)")
    }
  }

  /// Checks that nobody else can read it, and makes what is missing in it.
  ///
  /// - Throws: ``CertificateFault``.
  func open() throws(CertificateFault) {
    do throws(SystemError) {
      let status = try Files.status(of: path)
      guard status.isDirectory else { throw SystemError(.stat, 20) }
      guard status.user == Processes.ownUser else {
        throw SystemError(.open, 13)
      }
      if status.rights & 0o077 != 0 { try Files.setRights(of: path, to: 0o700) }
      for name in ["accounts", "certificates", "local", "ocsp"] {
        _ = try Files.makePrivateDirectory("\(path)/\(name)")
      }
    } catch {
      throw CertificateFault("cannot use the storage \(path): \(error)")
    }
  }

  /// The certificate of the authority of this machine, in PEM form; nil: it was not made yet.
  ///
  /// - Throws: ``CertificateFault``: it cannot be read.
  public func localRoot() throws(CertificateFault) -> [UInt8]? { try read("local/root.pem") }

  // MARK: Files

  func read(_ name: String, limit: Int = fileBytes) throws(CertificateFault) -> [UInt8]? {
    do throws(SystemError) {
      return try Files.read("\(path)/\(name)", limit: limit)
    } catch {
      if error.code == 2 { return nil }
      throw CertificateFault("cannot read \(path)/\(name): \(error)")
    }
  }

  func write(_ bytes: [UInt8], to name: String) throws(CertificateFault) {
    do throws(SystemError) {
      try Files.write(bytes, to: "\(path)/\(name)", rights: 0o600)
    } catch {
      throw CertificateFault("cannot write \(path)/\(name): \(error)")
    }
  }

  /// Takes a lock that all instances see; nil: another one has it.
  private func lock(_ name: String) throws(CertificateFault) -> FileLock? {
    do throws(SystemError) {
      return try FileLock.tryTake("\(path)/\(name)")
    } catch {
      throw CertificateFault("cannot lock \(path)/\(name): \(error)")
    }
  }

  /// Does what takes little time, and is done by one instance at a time.
  func alone<Result>(
    _ body: () throws(CertificateFault) -> Result
  ) throws(CertificateFault) -> Result {
    let limit = SystemClock.monotonicNanoseconds() + 2_000_000_000
    while true {
      if let held = try lock("lock") {
        defer { held.release() }
        return try body()
      }
      guard SystemClock.monotonicNanoseconds() < limit else {
        throw CertificateFault("another instance does not let go of \(path)/lock")
      }
      Processes.yieldProcessor()
    }
  }

  // MARK: What is kept

  /// The key of our accounts, made if there is none yet.
  func accountKey() throws(CertificateFault) -> TLSKey {
    if let pem = try read("account.key") { return try Self.key(pem, "\(path)/account.key") }
    return try alone { () throws(CertificateFault) in
      if let pem = try read("account.key") { return try Self.key(pem, "\(path)/account.key") }
      let made: (key: TLSKey, pem: [UInt8])
      do throws(TLSError) {
        let key = try TLSKey()
        made = (key, try key.pem())
      } catch {
        throw CertificateFault("no key can be made: \(error)")
      }
      defer { Secret.forget(made.pem) }
      try write(made.pem, to: "account.key")
      return made.key
    }
  }

  static func key(_ pem: [UInt8], _ path: String) throws(CertificateFault) -> TLSKey {
    defer { Secret.forget(pem) }
    do throws(TLSError) { return try TLSKey(pem: pem) } catch {
      throw CertificateFault("\(path): \(error)")
    }
  }

  /// What an authority calls our account; nil: nobody knows.
  func account(with directory: String) -> String? {
    do throws(CertificateFault) {
      guard let bytes = try read("accounts/\(Self.fileName(directory)).json") else { return nil }
      let json = Self.object(bytes)
      return json?["directory"]?.text == directory ? json?["account"]?.text : nil
    } catch {
      return nil
    }
  }

  /// Keeps what an authority calls our account.
  func keep(account: String, with directory: String) throws(CertificateFault) {
    let json = JSONValue.object(["directory": .text(directory), "account": .text(account)])
    try write(
      Array((json.formatted() + "\n").utf8),
      to: "accounts/\(Self.fileName(directory)).json"
    )
  }

  /// The certificate that is kept for a need; nil: there is none, or none that can be used.
  func certificate(for need: CertificateNeed) throws(CertificateFault) -> KeptCertificate? {
    let name = "certificates/\(Self.fileName(need.name))"
    guard let pem = try read("\(name).pem") else { return nil }
    defer { Secret.forget(pem) }
    let json = try read("\(name).json").flatMap(Self.object)
    do throws(TLSError) {
      let identity = try TLSIdentity(certificates: pem, key: pem)
      return KeptCertificate(identity: identity, source: json?["source"]?.text ?? "unknown")
    } catch {
      throw CertificateFault("\(path)/\(name).pem: \(error)")
    }
  }

  /// Keeps a certificate.
  ///
  /// - Parameters:
  ///   - pem: Its key, itself, and those that vouch for it.
  ///   - need: What it was obtained for.
  ///   - source: Where it came from.
  /// - Throws: ``CertificateFault``.
  func keep(_ pem: [UInt8], for need: CertificateNeed, from source: String) throws(CertificateFault)
  {
    let name = "certificates/\(Self.fileName(need.name))"
    let json = JSONValue.object([
      "names": .list(need.names.map { .text($0) }), "source": .text(source),
    ])
    try write(Array((json.formatted() + "\n").utf8), to: "\(name).json")
    try write(pem, to: "\(name).pem")
  }

  /// What a responder has said of a certificate; nil: nothing is known.
  func response(about name: String) throws(CertificateFault) -> [UInt8]? {
    try read("ocsp/\(Self.fileName(name)).der")
  }

  /// Keeps what a responder has said of a certificate.
  func keep(response: [UInt8], about name: String) throws(CertificateFault) {
    try write(response, to: "ocsp/\(Self.fileName(name)).der")
  }

  /// Takes the right to obtain a certificate; nil: another instance has it.
  func lock(for need: CertificateNeed) throws(CertificateFault) -> FileLock? {
    try lock("certificates/\(Self.fileName(need.name)).lock")
  }

  private static func object(_ bytes: [UInt8]) -> JSONValue? {
    do throws(JSONError) {
      return try JSONValue(parsing: bytes, limits: JSONLimits(byteCount: fileBytes))
    } catch {
      return nil
    }
  }

  /// A name as that of a file: letters, digits, and little else; a long one is cut.
  static func fileName(_ name: String) -> String {
    var text = ""
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var isPlain = true
    for byte in name.utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: text.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "+"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: ".") where !text.isEmpty && text.last != ".": text += "."
      case UInt8(ascii: "*"): text += "_wildcard"
      default:
        text += "_"
        isPlain = false
      }
    }
    if isPlain, text.utf8.count <= 200 { return text }
    return "\(text.prefix(180))-\(String(hash, radix: 16))"
  }
}

/// A certificate that was kept.
struct KeptCertificate: Sendable {
  var identity: TLSIdentity
  /// Where it came from: the directory of an authority, or `imported`.
  var source: String
}
