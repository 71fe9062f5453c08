import ArgumentParser
import CLinux
import Directives
import JSON
import MartletSystem
import Supervision
import TLS

/// What `martlet send` and `martlet receive` are told in the same words.
struct TransferOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp("The certificate to show, in PEM form.", valueName: "file"),
    completion: .file()
  )
  var certificate: String?

  @Option(name: .long, help: ArgumentHelp("Its key.", valueName: "file"), completion: .file())
  var key: String?

  @Option(
    name: .long,
    help: ArgumentHelp("A file with a word that both sides must know.", valueName: "file"),
    completion: .file()
  )
  var tokenFile: String?

  @Flag(name: .long, help: "Write a line of JSON for each file, and one at the end.")
  var json = false

  /// The certificate with its key.
  func identity() throws -> TLSIdentity? {
    guard let certificate, let key else {
      guard certificate == nil, key == nil else {
        throw CommandFailure(.usage, "--certificate and --key go together")
      }
      return nil
    }
    return try TransferFiles.identity(certificate: certificate, key: key)
  }

  /// The word.
  func token() throws -> String? { try tokenFile.map(TransferFiles.token) }
}

/// Files of certificates and secrets, as commands name them.
enum TransferFiles {
  /// The longest file of certificates or keys.
  private static let limit = 4 << 20

  static func identity(certificate: String, key: String) throws -> TLSIdentity {
    try named(certificate) {
      try TLSIdentity(certificates: try read(certificate), key: try read(key))
    }
  }

  static func authorities(_ path: String?) throws -> TLSAuthorities? {
    guard let path else { return nil }
    return try named(path) { try TLSAuthorities(pem: try read(path)) }
  }

  /// What a file has, without the white space around it.
  static func token(_ path: String) throws -> String {
    let text = String(decoding: try read(path), as: UTF8.self)
    let token = text.split(whereSeparator: \.isWhitespace)
    guard token.count == 1, 8...1024 ~= token[0].utf8.count else {
      throw CommandFailure(.failure, "\(path): a token is one word of 8 to 1024 bytes")
    }
    return String(token[0])
  }

  private static func read(_ path: String) throws -> [UInt8] {
    try named(path) { try Files.read(path, limit: limit) }
  }

  private static func named<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.failure, "\(path): \(error)")
    }
  }
}

/// Numbers as people read them.
enum TransferText {
  static func bytes(_ count: Int) -> String {
    var (number, unit) = (Double(count), "bytes")
    for next in ["KB", "MB", "GB", "TB"] where number >= 1000 {
      number /= 1000
      unit = next
    }
    guard unit != "bytes" else { return "\(count) bytes" }
    let tenths = Int((number * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }

  static func seconds(_ duration: Duration) -> String {
    let hundredths = Int(duration / .milliseconds(10))
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }

  static func line(_ file: TransferFile, _ digest: [UInt8]) -> String {
    JSONValue.object([
      "name": .text(file.name), "bytes": .number(file.byteCount),
      "digest": .text(TransferDigest.text(digest)),
    ]).compact
  }
}

extension Address {
  /// Reads the address behind an option.
  init(option: String, _ text: String) throws {
    do throws(ValueError) {
      self = try Address(text)
    } catch {
      let mend = error.mend.map { ": write \(option) \($0)" } ?? ""
      throw ValidationError("\(option): \(error.problem)\(mend)")
    }
  }
}
