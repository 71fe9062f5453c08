import JSON
import MartletSystem
import TLS

/// Why a message of a transfer is not taken.
struct TransferProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, in words for whoever has sent it.
  var description: String
  /// Whether the same may be sent again.
  var mayBeTriedAgain = false

  init(_ description: String, mayBeTriedAgain: Bool = false) {
    self.description = description
    self.mayBeTriedAgain = mayBeTriedAgain
  }
}

/// A file as it is told of on the wire: name, size, mode and time.
struct TransferFile: Hashable, Sendable {
  /// What ALPN calls it.
  static let protocolName = "martlet-transfer/1"
  /// How many bytes are sent, verified and acknowledged together.
  static let blockBytes = 8 << 20
  /// The most blocks of a file, which is 8 TiB.
  static let blockLimit = 1 << 20
  /// The longest name, and the most folders in it.
  static let nameLimit = 4000
  static let depthLimit = 64

  /// The name below the folder that it goes to, with slashes.
  var name: String
  var byteCount: Int
  /// The rights of owner, group and others; no further ones are taken over.
  var rights: UInt32
  /// When its content was changed, in nanoseconds since 1970.
  var modified: Int64

  var blockCount: Int { (byteCount + Self.blockBytes - 1) / Self.blockBytes }

  /// The bytes of a block.
  func range(of block: Int) -> Range<Int> {
    block * Self.blockBytes..<min((block + 1) * Self.blockBytes, byteCount)
  }

  /// The parts of a name, if it can lead nowhere but below the folder that it goes to.
  ///
  /// What could command a terminal is refused as well.
  static func parts(of name: String) throws(TransferProblem) -> [[UInt8]] {
    guard (1...nameLimit).contains(name.utf8.count) else {
      throw TransferProblem("a name has 1 to \(nameLimit) bytes")
    }
    guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
      throw TransferProblem("a name with control characters is not taken")
    }
    let parts = name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false).map(Array.init)
    guard parts.count <= depthLimit else {
      throw TransferProblem("\(name) lies in more than \(depthLimit) folders")
    }
    for part in parts {
      guard (1...255).contains(part.count), part != [0x2E], part != [0x2E, 0x2E] else {
        throw TransferProblem("\(name) is no name below a folder")
      }
    }
    guard parts[0] != Array(ReceiveFolder.workName.utf8) else {
      throw TransferProblem("\(name) is where files are kept that have not come yet")
    }
    return parts
  }

  /// The members of the dictionaries that tell of the file.
  var members: [JSONValue.Member] {
    [
      .init("name", .text(name)), .init("size", .number(byteCount)),
      .init("mode", .number(Int(rights))), .init("modified", .number(Int(modified))),
    ]
  }

  func head(_ kind: String, _ more: [JSONValue.Member] = []) -> JSONValue {
    .object([.init("do", .text(kind))] + members + more)
  }
}

extension TransferFile {
  /// Reads what a dictionary tells of a file.
  init(_ head: JSONValue) throws(TransferProblem) {
    guard let name = head["name"]?.text, let byteCount = head["size"]?.number,
      let rights = head["mode"]?.number, let modified = head["modified"]?.number
    else { throw TransferProblem("a file has a name, a size, a mode and a time") }
    _ = try Self.parts(of: name)
    guard byteCount >= 0, byteCount <= Self.blockLimit * Self.blockBytes else {
      throw TransferProblem("\(name) is too long")
    }
    self.name = name
    self.byteCount = byteCount
    self.rights = UInt32(rights & 0o777)
    self.modified = Int64(modified)
  }
}

/// Digests as they stand on the wire.
enum TransferDigest {
  /// How many bytes that of a file has, by SHA-256.
  static let byteCount = 32

  static func text(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
      as: UTF8.self
    )
  }

  static func bytes(_ text: String?, count: Int = byteCount) -> [UInt8]? {
    guard let text, text.utf8.count == count * 2 else { return nil }
    var bytes: [UInt8] = []
    for (place, digit) in text.utf8.enumerated() {
      guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
      if place % 2 == 0 {
        bytes.append(UInt8(value) << 4)
      } else {
        bytes[place / 2] |= UInt8(value)
      }
    }
    return bytes
  }

  /// The digest of a file: that of the digests of its blocks, one behind the other.
  static func whole(_ blocks: [[UInt8]]) throws(TLSError) -> [UInt8] {
    try TLSDigest.sha256(Array(blocks.joined()))
  }
}

/// Which blocks of a file there are, a bit for each.
struct BlockSet: Hashable, Sendable {
  private(set) var bytes: [UInt8]

  init(count: Int) { bytes = Array(repeating: 0, count: (count + 7) / 8) }

  init?(_ bytes: [UInt8], count: Int) {
    guard bytes.count == (count + 7) / 8 else { return nil }
    self.bytes = bytes
  }

  func contains(_ block: Int) -> Bool { bytes[block / 8] & 1 << UInt8(block % 8) != 0 }

  mutating func insert(_ block: Int) { bytes[block / 8] |= 1 << UInt8(block % 8) }
}
