import TLS
import TestPeers
import Testing

@Suite("Certificates, keys and contexts")
struct TLSTests {
  private func identity(
    _ rig: Rig,
    _ name: String,
    for names: [String],
    kind: String = "ec"
  ) throws -> TLSIdentity {
    _ = try rig.certificate(name, for: names, kind: kind)
    return try TLSIdentity(
      certificates: try rig.read("\(name).pem"),
      key: try rig.read("\(name).key")
    )
  }

  @Test("tell their names, their time and whom they name")
  func names() async throws {
    try await Rig.run { rig in
      let own = try identity(rig, "shop", for: ["Shop.example", "*.shop.example", "127.0.0.1"])
      #expect(own.certificates.names == ["shop.example", "*.shop.example", "127.0.0.1"])
      #expect(own.certificates.subject == "CN=shop")
      #expect(own.certificates.issuer == "CN=shop")
      #expect(own.certificates.commonName == "shop")
      #expect(own.certificates.fingerprint.count == 64)
      let validity = own.certificates.validity
      #expect(validity.upperBound - validity.lowerBound == 30 * 86_400)
      let nameless = try identity(rig, "plain", for: [])
      #expect(nameless.certificates.names == ["plain"])
    }
  }

  @Test("are refused when they do not belong together or are none")
  func refusals() async throws {
    try await Rig.run { rig in
      _ = try identity(rig, "a", for: ["a"])
      _ = try identity(rig, "b", for: ["b"])
      let (a, b) = (try rig.read("a.pem"), try rig.read("b.key"))
      #expect(throws: TLSError("the key is not that of the certificate")) {
        try TLSIdentity(certificates: a, key: b)
      }
      #expect(throws: TLSError.self) { try TLSIdentity(certificates: b, key: b) }
      #expect(throws: TLSError.self) { try TLSIdentity(certificates: a, key: a) }
      #expect(throws: TLSError.self) { try TLSCertificates(pem: []) }
      #expect(throws: TLSError.self) { try TLSCertificates(pem: Array(a.prefix(a.count / 2))) }
      // A chain has an end.
      let long = Array(repeatElement(a, count: 17).joined())
      #expect(throws: TLSError.self) { try TLSCertificates(pem: long) }
      #expect(try TLSCertificates(pem: Array(repeatElement(a, count: 16).joined())).count == 16)
    }
  }

  @Test("are read or refused, however they are spoilt", arguments: 0..<4)
  func noise(seed: Int) async throws {
    try await Rig.run { rig in
      _ = try identity(rig, "a", for: ["a.example"])
      let whole = try rig.read("a.pem")
      var state = UInt64(seed + 1)
      func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
      }
      for _ in 0..<300 {
        var bytes = whole
        for _ in 0...next(3) { bytes[next(bytes.count)] = UInt8(next(128)) }
        do throws(TLSError) {
          let certificates = try TLSCertificates(pem: bytes)
          #expect(certificates.count == 1)
          _ = certificates.names
          _ = certificates.validity
          _ = certificates.subject
        } catch {
          #expect(!error.description.isEmpty)
        }
      }
    }
  }

  @Test(
    "name what they do not know",
    arguments: [
      (TLSPolicy(ciphers: ["NO-SUCH-CIPHER"]), "ciphers of TLS 1.2"),
      (TLSPolicy(suites: ["TLS_NO_SUCH"]), "ciphers of TLS 1.3"),
      (TLSPolicy(groups: ["noSuchGroup"]), "groups"),
    ]
  )
  func policies(policy: TLSPolicy, part: String) {
    let error = #expect(throws: TLSError.self) {
      try TLSContext(
        server: "a",
        [],
        policy: policy,
        protocols: [],
        resumption: TLSResumption(tickets: nil)
      )
    }
    #expect(error?.description.contains(part) == true)
  }

  @Test("can be had for each policy", arguments: [TLSPolicy.modern, .intermediate, .old])
  func presets(policy: TLSPolicy) async throws {
    try await Rig.run { rig in
      _ = try TLSContext(
        server: "a",
        [try identity(rig, "a", for: ["a"]), try identity(rig, "b", for: ["a"], kind: "rsa")],
        policy: policy,
        protocols: ["h2", "http/1.1"],
        resumption: TLSResumption(tickets: TicketKeys(secret: [1, 2, 3]))
      )
    }
  }

  @Test("take secrets of one to 256 bytes")
  func secrets() {
    #expect(TicketKeys(secret: []) == nil)
    #expect(TicketKeys(secret: [UInt8](repeating: 1, count: 257)) == nil)
    #expect(TicketKeys(secret: [UInt8](repeating: 1, count: 256)) != nil)
  }
}
