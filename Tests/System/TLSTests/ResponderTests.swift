import Foundation
import TLS
import TestPeers
import Testing

@Suite("Who answers what became of a certificate")
struct ResponderTests {
  private static let now = Int64(Date().timeIntervalSince1970)

  /// An authority, who answers for it, and a certificate that it has given.
  private struct Site {
    var authority: TLSCertificates
    var own: TLSCertificates
    var responder: TLSResponder
    var files: (authority: [UInt8], own: [UInt8])
    let ownKey: TLSKey

    init() throws {
      let validity = now - 60...now + 86_400
      let key = try TLSKey()
      let root = CertificatePlan(
        .authority(permitted: []),
        organization: "Martlet",
        validity: validity
      )
      let rootPEM = try root.issued(for: key)
      authority = try TLSCertificates(pem: rootPEM)
      var plan = CertificatePlan(
        .server,
        organization: "Martlet",
        names: ["shop.test"],
        validity: validity
      )
      plan.serial = [0x4A] + [UInt8](repeating: 7, count: 19)
      plan.responder = "http://ca.test/acme/ocsp"
      ownKey = try TLSKey()
      let ownPEM = try plan.issued(for: ownKey, by: authority, key)
      own = try TLSCertificates(pem: ownPEM + rootPEM)
      files = (rootPEM, ownPEM)
      let signerKey = try TLSKey()
      let signer = CertificatePlan(.responder, organization: "Martlet", validity: validity)
      responder = TLSResponder(
        of: authority,
        signer: try TLSIdentity(
          certificates: signer.issued(for: signerKey, by: authority, key),
          key: signerKey.pem()
        )
      )
    }

    func answer(
      _ question: [UInt8],
      _ standing: TLSResponder.Standing = .good
    ) throws -> TLSResponder.Answer {
      try responder.answer(question, validity: now - 60...now + 3600) { _ in standing }
    }
  }

  @Test(
    "says of a certificate what became of it, as its owner and openssl read it",
    arguments: [
      (.good, .good, "own.pem: good"), (.unknown, .unknown, "own.pem: unknown"),
      (.revoked(at: now - 500, reason: 1), .revoked, "own.pem: revoked"),
    ] as [(TLSResponder.Standing, TLSCertificateStatus.Verdict, String)]
  )
  func verdicts(
    standing: TLSResponder.Standing,
    verdict: TLSCertificateStatus.Verdict,
    told: String
  ) async throws {
    let site = try Site()
    #expect(site.own.responder == "http://ca.test/acme/ocsp")
    let question = try #require(site.own.statusRequest)
    let answer = try site.answer(question, standing)
    #expect(answer.isAnswered && !answer.isSingular)
    let status = try site.own.status(in: answer.bytes)
    #expect(status.verdict == verdict)
    #expect(status.validity == Self.now - 60...Self.now + 3600)
    try await Rig.run { rig in
      let (root, own) = (
        try rig.write(site.files.authority, to: "root.pem"),
        try rig.write(site.files.own, to: "own.pem")
      )
      let response = try rig.write(answer.bytes, to: "response")
      let outcome = try rig.outcome(
        of: [
          "sh", "-c",
          "openssl ocsp -issuer \(root) -cert \(own) -CAfile \(root) -respin \(response) -no_nonce 2>&1",
        ]
      )
      #expect(outcome.lines.contains { $0.hasSuffix(told) }, "\(outcome.lines)")
      #expect(outcome.lines.contains("Response verify OK"), "\(outcome.lines)")
      let isRevoked = verdict == .revoked
      #expect(outcome.lines.contains { $0.contains("Reason: keyCompromise") } == isRevoked)
    }
  }

  @Test("is told the number of the certificate, and nothing of those of another authority")
  func numbers() throws {
    let (site, other) = (try Site(), try Site())
    let question = try #require(site.own.statusRequest)
    var serials: [[UInt8]] = []
    _ = try site.responder.answer(question, validity: 0...1) { serial in
      serials.append(serial)
      return .good
    }
    #expect(serials == [[0x4A] + [UInt8](repeating: 7, count: 19)])
    let answer = try other.responder.answer(question, validity: Self.now...Self.now + 60) { _ in
      Issue.record("it is of another authority")
      return .good
    }
    #expect(answer.isAnswered)
    // Nobody else may speak for it, and it says nothing of its own accord.
    #expect(throws: TLSError.self) { try site.own.status(in: answer.bytes) }
  }

  // MARK: Nonces

  /// What has a length in DER.
  private static func der(_ kind: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    let length =
      bytes.count < 128
      ? [UInt8(bytes.count)]
      : bytes.count < 256
        ? [0x81, UInt8(bytes.count)] : [0x82, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)]
    return [kind] + length + bytes
  }

  /// A question with an extension: its number, whether it must be understood, and its value.
  private static func question(
    _ plain: [UInt8],
    _ number: [UInt8],
    isCritical: Bool = false,
    _ value: [UInt8],
    count: Int = 1
  ) -> [UInt8] {
    // Behind the heads of the request and of what may be signed in it.
    let list = Array(plain[4...])
    let one = der(
      0x30,
      der(6, number) + (isCritical ? [1, 1, 0xFF] : []) + der(4, value)
    )
    let all = (0..<count).flatMap { _ in one }
    return der(0x30, der(0x30, list + der(0xA2, der(0x30, all))))
  }

  /// 1.3.6.1.5.5.7.48.1.2.
  private static let nonceNumber: [UInt8] = [0x2B, 6, 1, 5, 5, 7, 0x30, 1, 2]

  @Test(
    "gives nonces of 1 to 128 bytes back, and refuses others",
    arguments: [0, 1, 16, 32, 128, 129]
  )
  func nonces(count: Int) throws {
    let site = try Site()
    let plain = try #require(site.own.statusRequest)
    try #require(plain[0] == 0x30 && plain[1] < 128 && plain[2] == 0x30)
    let nonce = [UInt8](repeating: 0xA7, count: count)
    let answer = try site.answer(
      Self.question(plain, Self.nonceNumber, Self.der(4, nonce))
    )
    let isGood = (1...TLSResponder.nonceBytes).contains(count)
    #expect(answer.isAnswered == isGood)
    guard isGood else {
      #expect(answer.bytes == [0x30, 3, 0x0A, 1, 1])
      return
    }
    #expect(answer.isSingular)
    #expect(try site.own.status(in: answer.bytes).verdict == .good)
    let extended = Self.der(6, Self.nonceNumber) + Self.der(4, Self.der(4, nonce))
    #expect(answer.bytes.firstRange(of: extended) != nil)
  }

  @Test("refuses two nonces, what must be understood and is not, and lets the rest pass")
  func extensions() throws {
    let site = try Site()
    let plain = try #require(site.own.statusRequest)
    let nonce = Self.der(4, [1, 2, 3])
    let twice = Self.question(plain, Self.nonceNumber, nonce, count: 2)
    #expect(try !site.answer(twice).isAnswered)
    // 1.3.6.1.5.5.7.48.1.4: which kinds of answer the client knows.
    let number: [UInt8] = [0x2B, 6, 1, 5, 5, 7, 0x30, 1, 4]
    let kinds = Self.der(0x30, Self.der(6, [0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1]))
    #expect(try site.answer(Self.question(plain, number, kinds)).isAnswered)
    let must = Self.question(plain, number, isCritical: true, kinds)
    #expect(try site.answer(must).bytes == [0x30, 3, 0x0A, 1, 1])
    // A nonce that is no string of bytes, as RFC 2560 let pass.
    #expect(try !site.answer(Self.question(plain, Self.nonceNumber, [1, 2, 3])).isAnswered)
  }

  @Test("answers about so many certificates at once, and no more")
  func many() throws {
    let site = try Site()
    let plain = try #require(site.own.statusRequest)
    // Behind four heads stands the first of the list.
    let one = Array(plain[6...])
    func question(_ count: Int) -> [UInt8] {
      Self.der(0x30, Self.der(0x30, Self.der(0x30, (0..<count).flatMap { _ in one })))
    }
    #expect(question(1).count == plain.count)
    #expect(try site.answer(question(TLSResponder.certificateCount)).isAnswered)
    #expect(try !site.answer(question(TLSResponder.certificateCount + 1)).isAnswered)
    #expect(try !site.answer(question(0)).isAnswered)
  }

  @Test("refuses what is cut, goes on behind its end, or is too long")
  func broken() throws {
    let site = try Site()
    let plain = try #require(site.own.statusRequest)
    for count in plain.indices { #expect(try !site.answer(Array(plain[..<count])).isAnswered) }
    #expect(try !site.answer(plain + [0]).isAnswered)
    let long = [UInt8](repeating: 0, count: TLSResponder.questionBytes + 1)
    #expect(try !site.answer(long).isAnswered)
    #expect(try TLSResponder.refusal(isForNow: true).bytes == [0x30, 3, 0x0A, 1, 3])
  }

  @Test("says something or refuses, whatever is changed in a question")
  func noise() throws {
    let site = try Site()
    let plain = try #require(site.own.statusRequest)
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      var changed = plain
      for _ in 0...Int.random(in: 0..<3, using: &generator) {
        let place = Int.random(in: 0..<changed.count, using: &generator)
        changed[place] = UInt8.random(in: 0...255, using: &generator)
      }
      let answer = try site.answer(changed)
      #expect(TLSCertificateStatus.isResponse(answer.bytes))
    }
  }

  @Test("is asked about a certificate that is shown alone by who knows who has signed it")
  func alone() throws {
    let site = try Site()
    let alone = try TLSCertificates(pem: site.files.own)
    #expect(alone.statusRequest == nil)
    let known = try TLSIdentity(
      certificates: site.files.own,
      key: site.ownKey.pem(),
      issuer: site.authority
    ).certificates
    #expect(known.count == 1)
    let question = try #require(known.statusRequest)
    #expect(try known.status(in: site.answer(question).bytes).verdict == .good)
    // One that has not signed it is not taken for it.
    let key = try TLSKey()
    let plan = CertificatePlan(
      .server,
      organization: "Somebody",
      names: ["a.test"],
      validity: Self.now - 60...Self.now + 60
    )
    let stranger = try TLSIdentity(
      certificates: plan.issued(for: key),
      key: key.pem(),
      issuer: site.authority
    )
    #expect(stranger.certificates.statusRequest == nil)
  }
}
