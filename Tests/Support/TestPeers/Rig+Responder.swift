import Foundation

/// A certificate, who has signed it, and what OpenSSL's responder needs to tell what became of it.
public struct Vouched: Sendable {
  /// Who has signed the certificate.
  public var authority: Rig.CertificateFiles
  /// The certificate with that of its authority behind it, and its key.
  public var files: Rig.CertificateFiles
  /// The list of what the authority has signed.
  public var index: String

  /// What `openssl ocsp` is told so that it answers for the authority.
  public var options: [String] {
    [
      "-index", index, "-CA", authority.certificate, "-rsigner", authority.certificate, "-rkey",
      authority.key,
    ]
  }
}

extension Rig {
  /// Makes an authority and a certificate of it for `names`, of which the list says `state`: `V` is good, `R`
  /// revoked, and with nil it is not in the list.
  ///
  /// - Throws: ``PeerError`` when openssl refuses.
  public func vouched(
    _ name: String = "vouched",
    for names: [String] = ["shop.example"],
    responder: String? = nil,
    state: String? = "V",
    extensions: [String] = []
  ) throws -> Vouched {
    let authority = try certificate(
      "\(name)-authority",
      for: [],
      extensions: ["keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
    )
    let own = try certificate(
      "\(name)-own",
      for: names,
      authority: authority,
      extensions: (responder.map { ["authorityInfoAccess=OCSP;URI:\($0)"] } ?? []) + extensions
    )
    func bytes(_ path: String) throws -> [UInt8] {
      Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }
    let chain = try write(
      try bytes(own.certificate) + bytes(authority.certificate),
      to: "\(name)-chain.pem"
    )
    let made = Vouched(
      authority: authority,
      files: CertificateFiles(certificate: chain, key: own.key),
      index: path("\(name)-index")
    )
    try list(made, as: state)
    return made
  }

  /// Says in the list of an authority what became of its certificate.
  ///
  /// - Throws: ``PeerError`` when openssl refuses.
  public func list(_ vouched: Vouched, as state: String?) throws {
    let outcome = try outcome(
      of: ["openssl", "x509", "-noout", "-serial", "-in", vouched.files.certificate]
    )
    guard outcome.status == 0, let serial = outcome.lines.first?.split(separator: "=").last else {
      throw PeerError("openssl refuses: \(outcome.lines)")
    }
    let revoked = state == "R" ? "200101000000Z" : ""
    let line = state.map { "\($0)\t491231235959Z\t\(revoked)\t\(serial)\tunknown\t/CN=a\n" }
    try Data((line ?? "").utf8).write(to: URL(fileURLWithPath: vouched.index))
  }

  /// What OpenSSL's responder says of the certificate, in DER form.
  ///
  /// - Throws: ``PeerError`` when it refuses.
  public func response(
    about vouched: Vouched,
    request: [UInt8],
    _ options: [String] = ["-ndays", "1"],
    signedBy signer: CertificateFiles? = nil
  ) throws -> [UInt8] {
    let name = "response-\(UInt32.random(in: 0 ... .max))"
    let file = try write(request, to: "\(name).request")
    var words = vouched.options
    if let signer {
      words.replaceSubrange(4..., with: ["-rsigner", signer.certificate, "-rkey", signer.key])
    }
    let outcome = try outcome(
      of: ["openssl", "ocsp"] + words + options + ["-reqin", file, "-respout", path(name)]
    )
    guard outcome.status == 0 else { throw PeerError("openssl refuses: \(outcome.lines)") }
    return try read(name)
  }
}
