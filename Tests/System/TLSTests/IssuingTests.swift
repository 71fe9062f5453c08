import Foundation
import TLS
import TestPeers
import Testing

@Suite("Certificates that are made here")
struct IssuingTests {
  private static let now = Int64(Date().timeIntervalSince1970)

  private func authority(
    _ permitted: [String] = []
  ) throws -> (certificates: TLSCertificates, key: TLSKey, pem: [UInt8]) {
    let key = try TLSKey()
    let plan = CertificatePlan(
      .authority(permitted: permitted),
      organization: "Martlet",
      commonName: "A test",
      validity: Self.now - 60...Self.now + 86_400
    )
    let pem = try plan.issued(for: key)
    return (try TLSCertificates(pem: pem), key, pem)
  }

  private func plan(_ names: [String]) -> CertificatePlan {
    CertificatePlan(
      .server,
      organization: "Martlet",
      names: names,
      validity: Self.now - 60...Self.now + 3600
    )
  }

  /// Whether openssl believes a certificate for a host.
  private func isBelieved(_ rig: Rig, root: [UInt8], own: [UInt8], for host: String) throws -> Bool
  {
    let rootFile = try rig.write(root, to: "root.pem")
    let file = try rig.write(own, to: "own.pem")
    let option =
      host.first?.isNumber == true || host.contains(":") ? "-verify_ip" : "-verify_hostname"
    let outcome = try rig.outcome(
      of: ["openssl", "verify", "-x509_strict", "-CAfile", rootFile, option, host, file]
    )
    return outcome.status == 0
  }

  @Test(
    "are believed for their names by who believes the authority",
    arguments: ["localhost", "a.test", "10.1.2.3", "fd00::1", "shop"]
  )
  func leaf(name: String) async throws {
    try await Rig.run { rig in
      let (certificates, key, pem) = try authority([
        "localhost", "test", "shop", "10.0.0.0/255.0.0.0", "fc00::/fe00::",
      ])
      let own = try TLSKey()
      let leaf = try plan([name]).issued(for: own, by: certificates, key)
      #expect(try isBelieved(rig, root: pem, own: leaf, for: name))
      #expect(try !isBelieved(rig, root: pem, own: leaf, for: "other.test"))
      let read = try TLSCertificates(pem: leaf)
      #expect(read.names == [name])
      #expect(read.validity == Self.now - 60...Self.now + 3600)
      #expect(throws: Never.self) { try TLSIdentity(certificates: leaf, key: own.pem()) }
    }
  }

  @Test(
    "are not believed for names that the authority is not good for",
    arguments: ["bank.example", "a.localhost.example", "192.0.2.1", "2001:db8::1", "other"]
  )
  func constrained(name: String) async throws {
    try await Rig.run { rig in
      let (certificates, key, pem) = try authority([
        "localhost", "test", "10.0.0.0/255.0.0.0", "fc00::/fe00::",
      ])
      let leaf = try plan([name]).issued(for: TLSKey(), by: certificates, key)
      #expect(try !isBelieved(rig, root: pem, own: leaf, for: name))
      let (free, freeKey, freePEM) = try authority()
      let other = try plan([name]).issued(for: TLSKey(), by: free, freeKey)
      #expect(try isBelieved(rig, root: freePEM, own: other, for: name))
    }
  }

  @Test("ask for what they are to have")
  func request() async throws {
    try await Rig.run { rig in
      let request = try TLSKey().request(for: ["shop.example", "*.shop.example", "192.0.2.7"])
      let file = try rig.write(request, to: "request.der")
      let outcome = try rig.outcome(
        of: ["openssl", "req", "-inform", "DER", "-in", file, "-noout", "-text", "-verify"]
      )
      #expect(outcome.status == 0)
      let text = outcome.lines.joined(separator: "\n")
      #expect(text.contains("DNS:shop.example, DNS:*.shop.example, IP Address:192.0.2.7"))
    }
  }

  @Test("refuse to be made without a name, or with one that is too long")
  func refusals() throws {
    let key = try TLSKey()
    #expect(throws: TLSError.self) { try key.request(for: []) }
    #expect(throws: TLSError.self) { try key.request(for: [String(repeating: "a", count: 300)]) }
    #expect(throws: TLSError.self) { try plan([]).issued(for: key) }
    let proof = CertificatePlan(
      .proof(digest: [1]),
      organization: "Martlet",
      names: ["a"],
      validity: 0...1
    )
    #expect(throws: TLSError.self) { try proof.issued(for: key) }
  }

  @Test("carry the proof of RFC 8737 as a critical extension")
  func proof() async throws {
    try await Rig.run { rig in
      let plan = CertificatePlan(
        .proof(digest: Array(0..<32)),
        organization: "Martlet",
        names: ["shop.example"],
        validity: Self.now...Self.now + 60
      )
      let file = try rig.write(try plan.issued(for: TLSKey()), to: "proof.pem")
      let outcome = try rig.outcome(of: ["openssl", "x509", "-in", file, "-noout", "-text"])
      let text = outcome.lines.joined(separator: "\n")
      #expect(text.contains("1.3.6.1.5.5.7.1.31: critical"))
      #expect(text.contains("DNS:shop.example"))
    }
  }

  @Test("sign so that others can check it, and read their own keys")
  func signatures() async throws {
    try await Rig.run { rig in
      let key = try TLSKey()
      let again = try TLSKey(pem: try key.pem())
      #expect(again.point?.x == key.point?.x)
      #expect(again.point?.y == key.point?.y)
      let text = Array("what is signed".utf8)
      let signature = try again.signature(of: text)
      #expect(signature.count == 64)
      // As openssl reads it: two numbers in DER.
      func number(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var bytes = Array(bytes.drop { $0 == 0 })
        if bytes.first.map({ $0 & 0x80 != 0 }) ?? true { bytes.insert(0, at: 0) }
        return [0x02, UInt8(bytes.count)] + bytes
      }
      let both = number(signature[..<32]) + number(signature[32...])
      try rig.write([0x30, UInt8(both.count)] + both, to: "signature")
      try rig.write(text, to: "text")
      try rig.write(try key.pem(), to: "key.pem")
      let outcome = try rig.outcome(
        of: [
          "openssl", "dgst", "-sha256", "-prverify", rig.path("key.pem"), "-signature",
          rig.path("signature"), rig.path("text"),
        ]
      )
      #expect(outcome.lines.joined().contains("Verified OK"))
      _ = try rig.certificate("rsa", for: ["a"], kind: "rsa")
      let rsa = try rig.read("rsa.key")
      #expect(throws: TLSError.self) { try TLSKey(pem: rsa) }
    }
  }

  @Test("compute what RFC 6234 and RFC 4231 say")
  func digests() throws {
    func hex(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", $0) }.joined() }
    #expect(
      hex(try TLSDigest.sha256(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    #expect(
      hex(
        try TLSDigest.code(of: Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
      )
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
  }

  @Test("tell by what their renewal is asked about")
  func renewal() throws {
    let (certificates, key, _) = try authority()
    #expect(certificates.renewalParts == nil)
    let leaf = try TLSCertificates(
      pem: plan(["a"]).issued(for: TLSKey(), by: certificates, key)
    )
    let parts = try #require(leaf.renewalParts)
    #expect(parts.authority.count == 20)
    let digits = parts.serial.drop { $0 == 0 }.map { String(format: "%02x", $0) }.joined()
    #expect(digits == leaf.serial)
  }
}
