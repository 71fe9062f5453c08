import Foundation
import TLS
import TestPeers
import Testing

@Suite("Requests and signatures of others")
struct RequestTests {
  private func request(_ rig: Rig, _ kind: [String], _ more: [String]) throws -> [UInt8] {
    let outcome = try rig.outcome(
      of: ["openssl", "req", "-new", "-nodes", "-keyout", rig.path("own.key")] + kind + more
        + ["-outform", "DER", "-out", rig.path("own.csr")]
    )
    #expect(outcome.status == 0, "\(outcome.lines)")
    return try rig.read("own.csr")
  }

  @Test(
    "are read with their names, whatever kind their key is",
    arguments: [
      ["-newkey", "rsa:2048"], ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
      ["-newkey", "ed25519"],
    ]
  )
  func names(kind: [String]) async throws {
    try await Rig.run { rig in
      let der = try request(
        rig,
        kind,
        ["-subj", "/CN=A.test", "-addext", "subjectAltName=DNS:b.test,IP:10.0.0.1,DNS:a.test"]
      )
      let read = try TLSRequest(der: der)
      #expect(Set(read.names) == ["a.test", "b.test", "10.0.0.1"])
      #expect(throws: TLSError.self) { try TLSRequest(der: der + [0]) }
      #expect(throws: TLSError.self) { try TLSRequest(der: Array(der.dropLast())) }
      var changed = der
      changed[der.count - 10] ^= 1
      #expect(throws: TLSError.self) { try TLSRequest(der: changed) }
    }
  }

  @Test(
    "are refused with a weak key, or for what is no host",
    arguments: [
      (["-newkey", "rsa:1024"], "DNS:a.test"), (["-newkey", "rsa:2048"], "email:a@a.test"),
    ]
  )
  func refused(kind: [String], names: String) async throws {
    try await Rig.run { rig in
      let der = try request(rig, kind, ["-subj", "/", "-addext", "subjectAltName=\(names)"])
      #expect(throws: TLSError.self) { try TLSRequest(der: der) }
    }
  }

  @Test("get a certificate with their own key")
  func issued() async throws {
    try await Rig.run { rig in
      let now = Int64(Date().timeIntervalSince1970)
      let authority = try TLSKey()
      let root = try CertificatePlan(
        .authority(permitted: ["test"]),
        organization: "A",
        commonName: "A",
        validity: now - 60...now + 3600
      ).issued(for: authority)
      let der = try request(rig, ["-newkey", "rsa:2048"], ["-subj", "/CN=a.test"])
      let leaf = try CertificatePlan(
        .server,
        organization: "A",
        names: ["a.test"],
        validity: now - 60...now + 3600
      ).issued(for: TLSRequest(der: der).key, by: TLSCertificates(pem: root), authority)
      let key = try Array(Data(contentsOf: URL(fileURLWithPath: rig.path("own.key"))))
      #expect(throws: Never.self) { try TLSIdentity(certificates: leaf, key: key) }
    }
  }

  @Test("are signed by their key alone")
  func signatures() throws {
    let key = try TLSKey()
    let (x, y) = try #require(key.point)
    let bytes = Array("what was said".utf8)
    let signature = try key.signature(of: bytes)
    #expect(TLSSignature.isGood(signature, of: bytes, x: x, y: y))
    #expect(!TLSSignature.isGood(signature, of: bytes + [0], x: x, y: y))
    #expect(!TLSSignature.isGood(signature, of: bytes, x: y, y: x))
    #expect(!TLSSignature.isGood(Array(signature.dropLast()), of: bytes, x: x, y: y))
    #expect(!TLSSignature.isGood(Array(repeating: 0, count: 64), of: bytes, x: x, y: y))
    for place in 0..<64 {
      var changed = signature
      changed[place] ^= 0x10
      #expect(!TLSSignature.isGood(changed, of: bytes, x: x, y: y), "byte \(place)")
    }
    #expect(!TLSSignature.isGood([1, 2], of: bytes, modulus: [1], exponent: [3]))
    #expect(!TLSSignature.isGood([], of: bytes, modulus: [], exponent: []))
  }

  @Test("are signed on P-384 with SHA-384, as openssl does it")
  func longSignatures() async throws {
    try await Rig.run { rig in
      let (key, text) = (rig.path("long.key"), try rig.write("what was said", to: "text"))
      for words in [
        ["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key],
        ["dgst", "-sha384", "-sign", key, "-out", rig.path("signature"), text],
        ["pkey", "-in", key, "-pubout", "-outform", "DER", "-out", rig.path("public")],
      ] {
        #expect(try rig.outcome(of: ["openssl"] + words).status == 0)
      }
      // The point stands at the end; the signature is a pair of numbers in DER form.
      let point = try rig.read("public").suffix(96)
      let (x, y) = (Array(point.prefix(48)), Array(point.suffix(48)))
      let der = try rig.read("signature")
      func number(_ start: Int) -> [UInt8] {
        let bytes = der[(start + 2)..<(start + 2 + Int(der[start + 1]))].drop { $0 == 0 }
        return [UInt8](repeating: 0, count: 48 - bytes.count) + bytes
      }
      let signature = number(2) + number(4 + Int(der[3]))
      let bytes = Array("what was said".utf8)
      #expect(TLSSignature.isGood(signature, of: bytes, x: x, y: y))
      #expect(!TLSSignature.isGood(signature, of: bytes + [0], x: x, y: y))
      #expect(!TLSSignature.isGood(signature, of: bytes, x: y, y: x))
      #expect(!TLSSignature.isGood(Array(signature.prefix(64)), of: bytes, x: x, y: y))
      let short = (Array(x.prefix(32)), Array(y.prefix(32)))
      #expect(!TLSSignature.isGood(Array(signature.prefix(64)), of: bytes, x: short.0, y: short.1))
    }
  }
}
