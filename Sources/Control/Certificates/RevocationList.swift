import MartletBytes
package import TLS

/// What the authority of this machine has revoked, as its storage keeps it: a line for each certificate, with its
/// number, when it was revoked, why, and when its time is over.
package struct RevocationList {
  /// The most certificates of a list.
  package static let count = 65_536
  /// The longest text of one: a line has at most 70 bytes.
  package static let fileBytes = count * 72
  /// How long a certificate stays in the list behind its end, so that every client has seen it there.
  ///
  /// RFC 5280, section 3.3.
  private static let afterSeconds: Int64 = 8 * 86_400

  /// One certificate.
  package struct Entry: Hashable, Sendable {
    package var serial: [UInt8]
    package var time: Int64
    package var reason: Int
    package var until: Int64

    /// Creates an entry.
    package init(serial: [UInt8], time: Int64, reason: Int, until: Int64) {
      self.serial = serial
      self.time = time
      self.reason = reason
      self.until = until
    }

    /// The number in hexadecimal digits.
    package var number: String { RevocationList.text(serial) }
  }

  /// What came of adding one.
  package enum Addition: Hashable, Sendable {
    case added
    case known
    case full
  }

  package private(set) var entries: [Entry]

  /// Reads a text; nil: it is none, and nothing may be signed that leaves something out.
  package init?(_ text: [UInt8]) {
    entries = []
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 4, let serial = Self.bytes(words[0]), let time = Int64(words[1]),
        let reason = Int(words[2]), let until = Int64(words[3])
      else { return nil }
      entries.append(Entry(serial: serial, time: time, reason: reason, until: until))
    }
  }

  /// The bytes of hexadecimal digits, without zeros in front; nil for what is no number of a certificate.
  package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    let digits = Array(text.utf8.filter { $0 != UInt8(ascii: ":") })
    guard !digits.isEmpty, digits.count <= 2 * CertificatePlan.serialBytes else { return nil }
    for (index, digit) in digits.enumerated() {
      guard let value = hexDigit(digit) else { return nil }
      // An odd number of digits begins with half a byte.
      if (digits.count - index).isMultiple(of: 2) || index == 0 {
        bytes.append(value)
      } else {
        bytes[bytes.count - 1] = bytes[bytes.count - 1] << 4 | value
      }
    }
    bytes = Array(bytes.drop { $0 == 0 })
    return bytes.isEmpty ? nil : bytes
  }

  package static func text(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  package var text: [UInt8] {
    Array(entries.map { "\($0.number) \($0.time) \($0.reason) \($0.until)\n" }.joined().utf8)
  }

  /// Adds a certificate, and forgets those whose time is over for long.
  package mutating func add(_ entry: Entry, at now: Int64) -> Addition {
    entries.removeAll { $0.until + Self.afterSeconds < now }
    if entries.contains(where: { $0.serial == entry.serial }) { return .known }
    guard entries.count < Self.count else { return .full }
    entries.append(entry)
    return .added
  }

  /// What is told to clients.
  package var told: [RevocationPlan.Entry] {
    entries.map { RevocationPlan.Entry(serial: $0.serial, time: $0.time, reason: $0.reason) }
  }
}

extension CertificateStorage {
  private static let revoked = "local/revoked"

  /// What was revoked, as text.
  func revoked() throws(CertificateFault) -> [UInt8] {
    try read(Self.revoked, limit: RevocationList.fileBytes) ?? []
  }

  /// Notes that a certificate was revoked; it is known for good when this returns.
  func revoke(
    _ entry: RevocationList.Entry,
    at now: Int64
  ) throws(CertificateFault) -> RevocationList.Addition {
    try alone { () throws(CertificateFault) in
      guard var list = RevocationList(try revoked()) else { throw unreadable }
      let addition = list.add(entry, at: now)
      if addition == .added { try write(list.text, to: Self.revoked) }
      return addition
    }
  }

  /// That what was revoked cannot be read.
  var unreadable: CertificateFault {
    CertificateFault("\(path)/\(Self.revoked) is not in form: put back a copy, or remove it")
  }
}

extension TLSCertificates {
  /// The number of the first one, without zeros in front; nil: it does not say who has signed it.
  var serialNumber: [UInt8]? { renewalParts.map { Array($0.serial.drop { $0 == 0 }) } }
}
