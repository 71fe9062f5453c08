import Foundation
import TLS
import TestPeers
import Testing

@Suite("Lists of what was revoked")
struct RevokingTests {
  private static let now = Int64(Date().timeIntervalSince1970)

  private func authority() throws -> (certificates: TLSCertificates, key: TLSKey) {
    let key = try TLSKey()
    let plan = CertificatePlan(
      .authority(permitted: []),
      organization: "Martlet",
      validity: Self.now - 60...Self.now + 86_400
    )
    return (try TLSCertificates(pem: plan.issued(for: key)), key)
  }

  private func entry(_ serial: [UInt8], reason: Int = 0) -> RevocationPlan.Entry {
    RevocationPlan.Entry(serial: serial, time: Self.now - 5, reason: reason)
  }

  private func plan(_ entries: [RevocationPlan.Entry]) -> RevocationPlan {
    RevocationPlan(entries, validity: Self.now - 60...Self.now + 3600, number: .max)
  }

  @Test(
    "are read by openssl, with the number, the time and the reason of each",
    arguments: [0, 1, 1000]
  )
  func written(count: Int) async throws {
    let (certificates, key) = try authority()
    let longest = [UInt8](repeating: 0x7F, count: CertificatePlan.serialBytes)
    var entries: [RevocationPlan.Entry] = []
    for index in 0..<count {
      let serial = [UInt8(index / 256 + 1), UInt8(index % 256)]
      entries.append(index == 0 ? entry(longest, reason: 1) : entry(serial))
    }
    let list = try plan(entries).issued(by: certificates, key)
    try await Rig.run { rig in
      let file = try rig.write(list, to: "list.der")
      let outcome = try rig.outcome(
        of: ["openssl", "crl", "-inform", "DER", "-in", file, "-noout", "-text"]
      )
      #expect(outcome.status == 0, "\(outcome.lines)")
      #expect(outcome.lines.count { $0.contains("Serial Number:") } == count)
      let isThere = outcome.lines.contains { $0.contains("Key Compromise") }
      #expect(isThere == (count > 0))
      let hex = String(repeating: "7F", count: CertificatePlan.serialBytes)
      #expect(outcome.lines.contains { $0.contains("Serial Number: \(hex)") } == (count > 0))
    }
  }

  @Test("hold no number that no certificate has")
  func numbers() throws {
    let (certificates, key) = try authority()
    let long = [UInt8](repeating: 1, count: CertificatePlan.serialBytes + 1)
    for serial in [[], long] {
      #expect(throws: TLSError.self) { try plan([entry(serial)]).issued(by: certificates, key) }
    }
  }

  @Test("are named in certificates, whose number and key are known again")
  func certificates() async throws {
    let (certificates, key) = try authority()
    let own = try TLSKey()
    var plan = CertificatePlan(
      .server,
      organization: "Martlet",
      names: ["a.test"],
      validity: Self.now - 60...Self.now + 3600
    )
    plan.serial = [0x41] + [UInt8](repeating: 7, count: CertificatePlan.serialBytes - 1)
    plan.revocations = "http://ca.test/acme/crl?a,b;c"
    let pem = try plan.issued(for: own, by: certificates, key)
    let read = try TLSCertificates(pem: pem)
    #expect(read.renewalParts?.serial == plan.serial)
    #expect(read.isSigned(by: certificates))
    let stranger = try authority().certificates
    #expect(!read.isSigned(by: stranger))
    let point = try #require(own.point)
    #expect(read.hasKey(x: point.x, y: point.y))
    let other = try #require(key.point)
    #expect(!read.hasKey(x: other.x, y: other.y))
    #expect(!read.hasKey(x: [], y: []))
    let der = try #require(read.der)
    #expect(try TLSCertificates(der: der).fingerprint == read.fingerprint)
    #expect(!read.hasKey(modulus: [UInt8](repeating: 0xAB, count: 256), exponent: [1, 0, 1]))
    plan.serial.append(1)
    #expect(throws: TLSError.self) { try plan.issued(for: own, by: certificates, key) }
    try await Rig.run { rig in
      let file = try rig.write(pem, to: "own.pem")
      let outcome = try rig.outcome(of: ["openssl", "x509", "-in", file, "-noout", "-text"])
      #expect(outcome.lines.contains { $0.contains("URI:http://ca.test/acme/crl?a,b;c") })
      let der = rig.path("own.der")
      _ = try rig.outcome(of: ["openssl", "x509", "-in", file, "-outform", "DER", "-out", der])
      let bytes = try rig.read("own.der")
      #expect(try TLSCertificates(der: bytes).fingerprint == read.fingerprint)
      #expect(throws: TLSError.self) { try TLSCertificates(der: bytes + [0]) }
      #expect(throws: TLSError.self) { try TLSCertificates(der: Array(bytes.dropLast())) }
      #expect(throws: TLSError.self) { try TLSCertificates(der: []) }
    }
  }
}
