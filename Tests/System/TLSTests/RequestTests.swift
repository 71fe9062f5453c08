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
}
