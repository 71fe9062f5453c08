import Foundation

extension Rig {
  /// The files of a certificate and its key.
  public struct CertificateFiles: Sendable {
    /// The certificate.
    public var certificate: String
    /// Its key.
    public var key: String
  }

  /// Makes a certificate for `names`; without `authority` it vouches for itself.
  ///
  /// - Throws: ``PeerError`` when openssl refuses.
  public func certificate(
    _ name: String,
    for names: [String],
    kind: String = "ec",
    days: Int = 30,
    authority: CertificateFiles? = nil,
    extensions: [String] = []
  ) throws -> CertificateFiles {
    let files = CertificateFiles(certificate: path("\(name).pem"), key: path("\(name).key"))
    let list = names.map { $0.first?.isNumber == true ? "IP:\($0)" : "DNS:\($0)" }
    let curve = kind == "ec" ? ["-pkeyopt", "ec_paramgen_curve:P-256"] : []
    let kind = kind == "rsa" ? "rsa:2048" : kind
    var arguments =
      ["openssl", "req", "-x509", "-newkey", kind] + curve + [
        "-nodes", "-keyout", files.key, "-out", files.certificate, "-days", "\(days)",
        "-subj", "/CN=\(name)",
      ]
    if !list.isEmpty { arguments += ["-addext", "subjectAltName=" + list.joined(separator: ",")] }
    arguments += extensions.flatMap { ["-addext", $0] }
    if let authority {
      arguments += [
        "-CA", authority.certificate, "-CAkey", authority.key,
        "-addext", "basicConstraints=critical,CA:FALSE",
      ]
    }
    let outcome = try outcome(of: arguments)
    guard outcome.status == 0 else { throw PeerError("openssl refuses: \(outcome.lines)") }
    return files
  }

  /// What `openssl s_client` writes when it connects to `endpoint`, is given `input` and reads to the end.
  ///
  /// - Throws: ``PeerError`` when it does not end in time.
  public func openssl(
    to endpoint: Endpoint,
    _ arguments: String...,
    input: String = ""
  ) throws -> (status: Int32, lines: [String]) {
    let file = try write(input, to: "input-\(UInt32.random(in: 0 ... .max))")
    let words = (["openssl", "s_client", "-connect", endpoint.description] + arguments)
      .map { "'\($0)'" }.joined(separator: " ")
    return try outcome(of: ["sh", "-c", "exec \(words) < \(file) 2>&1"])
  }
}

extension Rig {
  /// Makes a certificate that is good between two times, as `20200101000000Z`, which may both be over; without
  /// `authority` it vouches for itself.
  ///
  /// - Throws: ``PeerError`` when openssl refuses.
  public func certificate(
    _ name: String,
    for names: [String],
    from start: String,
    until end: String,
    authority: CertificateFiles? = nil
  ) throws -> CertificateFiles {
    let files = CertificateFiles(certificate: path("\(name).pem"), key: path("\(name).key"))
    let list = names.map { $0.first?.isNumber == true ? "IP:\($0)" : "DNS:\($0)" }
    let request = path("\(name).request")
    var words = [
      "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-keyout", files.key, "-out", request, "-subj", "/CN=\(name)",
    ]
    if !list.isEmpty { words += ["-addext", "subjectAltName=" + list.joined(separator: ",")] }
    let made = try outcome(of: words)
    guard made.status == 0 else { throw PeerError("openssl refuses: \(made.lines)") }
    let settings = try authoritySettings(name)
    let signer = authority.map { ["-cert", $0.certificate, "-keyfile", $0.key] }
    let signed = try outcome(
      of: [
        "openssl", "ca", "-batch", "-notext", "-config", settings, "-in", request, "-out",
        files.certificate, "-startdate", start, "-enddate", end,
      ] + (signer ?? ["-selfsign", "-keyfile", files.key])
    )
    guard signed.status == 0 else { throw PeerError("openssl refuses: \(signed.lines)") }
    return files
  }

  /// Makes the list of an authority in which these of its certificates are revoked.
  ///
  /// - Throws: ``PeerError`` when openssl refuses.
  public func revocationList(
    _ name: String,
    of revoked: [CertificateFiles],
    by authority: CertificateFiles
  ) throws -> String {
    let (settings, list) = (try authoritySettings(name), path("\(name).crl"))
    let signer = ["-cert", authority.certificate, "-keyfile", authority.key]
    let all =
      revoked.map { ["-revoke", $0.certificate] }
      + [["-gencrl", "-crldays", "30", "-out", list]]
    for words in all {
      let outcome = try outcome(
        of: ["openssl", "ca", "-batch", "-config", settings] + signer + words
      )
      guard outcome.status == 0 else { throw PeerError("openssl refuses: \(outcome.lines)") }
    }
    return list
  }

  /// What `openssl ca` needs to know.
  private func authoritySettings(_ name: String) throws -> String {
    try write(
      """
      [ca]
      default_ca = own
      [own]
      new_certs_dir = \(path("."))
      database = \(write("", to: "\(name).index"))
      rand_serial = yes
      default_md = sha256
      policy = any
      copy_extensions = copy
      [any]
      commonName = supplied
      """,
      to: "\(name).conf"
    )
  }
}
