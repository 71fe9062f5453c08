import Foundation
import TLS
import TestPeers
import Testing

@Suite("What responders say of certificates")
struct StaplingTests {
  private static let now = Int64(Date().timeIntervalSince1970)

  private func certificates(_ vouched: Vouched) throws -> TLSCertificates {
    try TLSCertificates(pem: bytes(vouched.files.certificate))
  }

  private func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  @Test(
    "is what OpenSSL's responder has said",
    arguments: [
      ("V", .good), ("R", .revoked), (nil, .unknown),
    ] as [(String?, TLSCertificateStatus.Verdict)]
  )
  func verdicts(state: String?, verdict: TLSCertificateStatus.Verdict) async throws {
    try await Rig.run { rig in
      let vouched = try rig.vouched(state: state)
      let certificates = try certificates(vouched)
      let request = try #require(certificates.statusRequest)
      let response = try rig.response(about: vouched, request: request)
      #expect(TLSCertificateStatus.isResponse(response))
      let status = try certificates.status(in: response)
      #expect(status.verdict == verdict)
      #expect(status.validity.upperBound - status.validity.lowerBound == 86_400)
      #expect(abs(status.validity.lowerBound - Self.now) < 600)
    }
  }

  @Test("counts for a day where the responder does not say how long")
  func endless() async throws {
    try await Rig.run { rig in
      let vouched = try rig.vouched()
      let certificates = try certificates(vouched)
      let request = try #require(certificates.statusRequest)
      let response = try rig.response(about: vouched, request: request, [])
      let validity = try certificates.status(in: response).validity
      #expect(validity.upperBound - validity.lowerBound == 86_400)
    }
  }

  @Test("is not taken of another certificate, of another authority, or of who may not say it")
  func foreign() async throws {
    try await Rig.run { rig in
      let vouched = try rig.vouched()
      let certificates = try certificates(vouched)
      let request = try #require(certificates.statusRequest)
      let other = try rig.vouched("other")
      let foreign = try #require(try self.certificates(other).statusRequest)
      let ofOther = try rig.response(about: other, request: foreign)
      #expect(throws: TLSError.self) { try certificates.status(in: ofOther) }
      // A certificate of the authority, but not one that may answer for it.
      let plain = try rig.certificate("plain", for: ["a"], authority: vouched.authority)
      let signedByPlain = try rig.response(about: vouched, request: request, signedBy: plain)
      #expect(throws: TLSError.self) { try certificates.status(in: signedByPlain) }
      let delegate = try rig.certificate(
        "delegate",
        for: ["a"],
        authority: vouched.authority,
        extensions: ["extendedKeyUsage=OCSPSigning"]
      )
      let signedByDelegate = try rig.response(about: vouched, request: request, signedBy: delegate)
      #expect(try certificates.status(in: signedByDelegate).verdict == .good)
      let foreignDelegate = try rig.certificate(
        "foreign",
        for: ["a"],
        authority: other.authority,
        extensions: ["extendedKeyUsage=OCSPSigning"]
      )
      let byForeign = try rig.response(about: vouched, request: request, signedBy: foreignDelegate)
      #expect(throws: TLSError.self) { try certificates.status(in: byForeign) }
    }
  }

  @Test("is refused when a byte of it is another one, is missing, or follows")
  func broken() async throws {
    try await Rig.run { rig in
      let vouched = try rig.vouched()
      let certificates = try certificates(vouched)
      let request = try #require(certificates.statusRequest)
      let response = try rig.response(about: vouched, request: request)
      for count in 0..<response.count {
        #expect(!TLSCertificateStatus.isResponse(Array(response.prefix(count))), "\(count) bytes")
      }
      #expect(!TLSCertificateStatus.isResponse(response + [0]))
      var generator = SystemRandomNumberGenerator()
      for _ in 0..<200 {
        var changed = response
        let place = Int.random(in: 0..<changed.count, using: &generator)
        changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        // Whatever it says now, it is never another verdict than that which was signed.
        do throws(TLSError) {
          #expect(try certificates.status(in: changed).verdict == .good, "byte \(place)")
        } catch {
          #expect(!error.description.isEmpty)
        }
      }
    }
  }

  @Test("is asked for where the certificate says, and not where its authority is not at hand")
  func questions() async throws {
    try await Rig.run { rig in
      let url = "http://127.0.0.1:8080/ocsp"
      let vouched = try rig.vouched(responder: url, extensions: ["tlsfeature=status_request"])
      let certificates = try certificates(vouched)
      #expect(certificates.responder == url)
      #expect(certificates.mustStaple)
      let alone = try TLSCertificates(pem: bytes(rig.path("vouched-own.pem")))
      #expect(alone.statusRequest == nil)
      #expect(throws: TLSError.self) { try alone.status(in: [1]) }
      let plain = try self.certificates(rig.vouched("plain"))
      #expect(plain.responder == nil)
      #expect(!plain.mustStaple)
      let other = try self.certificates(rig.vouched("ldap", responder: "ldap://127.0.0.1/"))
      #expect(other.responder == nil)
    }
  }
}
