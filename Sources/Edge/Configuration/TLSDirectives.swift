import Directives
import TLS

/// The directives whose words are the paths of files that must be at hand.
let attachedFileDirectives: Set<String> = [
  "certificate", "client_authorities", "client_revoked", "ticket_secret", "authorities", "revoked",
  "trust", "ocsp_response", "dictionary",
]

/// A `tls` block with its places.
struct TLSDraft: Sendable {
  var settings = TLSSettings()
  var range: SourceRange?
  var clientAuthorities: [UInt8]?
  /// Whether certificates are obtained.
  var isAutomatic = false
}

/// What servers say about TLS.
let tlsServerDirectives: [Directive<ServerDraft>] = [certificate, tlsBlock]

private let certificate = Directive<ServerDraft>(
  "certificate",
  form: "CERTIFICATE [KEY]",
  repeats: true,
  "A certificate of the server in PEM form, with those that vouch for it, and its key, which may stand "
    + "in the same file. Several may have different names, or for one name different kinds of keys; the "
    + "client's words decide. `martlet reload` reads them anew.",
  example: "certificate /etc/martlet/shop.pem /etc/martlet/shop.key",
  read: { statement, draft, reading in
    let example = "certificate /etc/martlet/shop.pem /etc/martlet/shop.key"
    guard let certificate = reading.certificate(of: statement, example: example) else { return }
    draft.settings.certificates.append(certificate)
    draft.certificateRanges.append(statement.range)
  },
  show: { draft, mask in
    .list(
      draft.settings.certificates.map { certificate in
        .object([
          JSONValue.Member("certificate", .text(mask.shown(certificate.certificates))),
          JSONValue.Member("key", .text(mask.shown(certificate.key))),
        ])
      }
    )
  }
)

private let tlsBlock = Directive<ServerDraft>.block(
  "tls",
  form: "[auto]",
  tlsDirectives,
  need: .optional,
  words: ["auto"],
  "What the server and its clients agree on by TLS, on listeners that have `tls` behind them. With `auto` "
    + "its certificates are obtained and renewed by Martlet; if it does not say where it listens, that is "
    + "then `:443` with TLS and `:80`, from where clients are sent on.",
  example: "tls { policy modern }",
  begin: { statement, reading in
    var draft = TLSDraft()
    draft.isAutomatic = statement.arguments.first?.text == "auto"
    reading.refuseWords(of: statement, from: draft.isAutomatic ? 1 : 0, example: "tls auto")
    if !draft.isAutomatic, statement.arguments.isEmpty, statement.block == nil {
      reading.error(
        "`tls` says nothing",
        mend: "write `tls auto`, or `tls { … }`",
        at: statement.range
      )
    }
    return draft
  },
  end: { block, statement, draft, reading in
    if let first = draft.tlsRange {
      reading.error(
        "`tls` stands twice",
        mend: "write all of it into one block",
        at: statement.name.range,
        notes: [Diagnostic.Note("the first one", reading.place(first))]
      )
      return
    }
    draft.tlsRange = statement.range
    draft.settings.tls = block.settings
    draft.settings.isAutomatic = block.isAutomatic
    reading.check(block, at: statement.range)
  },
  show: { draft, mask in
    let shown = tlsDirectives.shown(TLSDraft(settings: draft.settings.tls), mask)
    return .object(
      [JSONValue.Member("auto", .flag(draft.settings.isAutomatic))] + (shown.members ?? [])
    )
  }
)

private let tlsDirectives = DirectiveTable<TLSDraft>(
  "tls",
  "What a server and its clients agree on by TLS.",
  makeDefault: { TLSDraft() },
  [
    .value(
      "policy",
      \.settings.preset,
      .choice,
      "Which versions and ciphers are spoken: TLS 1.3 alone; besides that TLS 1.2 with forward secrecy "
        + "and authenticated encryption; besides that the older ciphers of TLS 1.2.",
      example: "policy modern"
    ),
    .list(
      "versions",
      \.settings.versions,
      .choice,
      unset: "those of the policy",
      "The versions that are spoken.",
      example: "versions 1.2 1.3"
    ),
    .list(
      "ciphers",
      \.settings.ciphers,
      .tlsName,
      unset: "those of the policy",
      "The ciphers of TLS 1.2 in order of preference, as `openssl ciphers` names them.",
      example: "ciphers ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384"
    ),
    .list(
      "suites",
      \.settings.suites,
      .tlsName,
      unset: "all",
      "The ciphers of TLS 1.3 in order of preference.",
      example: "suites TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"
    ),
    .list(
      "groups",
      \.settings.groups,
      .tlsName,
      unset: "X25519 prime256v1 secp384r1",
      "The groups for the key exchange in order of preference.",
      example: "groups X25519 prime256v1"
    ),
    .value(
      "client_certificate",
      \.settings.clientDemand,
      .choice,
      "Whether clients show certificates, which one of `client_authorities` has to vouch for.",
      example: "client_certificate off"
    ),
    file(
      "client_authorities",
      \.settings.clientAuthorities,
      "The certificates of the authorities that vouch for clients, in PEM form.",
      example: "client_authorities /etc/martlet/clients.pem",
      check: { bytes, draft throws(TLSError) in
        draft.clientAuthorities = bytes
        _ = try TLSAuthorities(pem: bytes)
      }
    ),
    file(
      "client_revoked",
      \.settings.clientRevocations,
      "The revocation lists of these authorities, in PEM form: one for each. A certificate of which no "
        + "list tells is not good.",
      example: "client_revoked /etc/martlet/clients.crl",
      check: { bytes, draft throws(TLSError) in
        guard let authorities = draft.clientAuthorities else { return }
        _ = try TLSAuthorities(pem: authorities, revoked: bytes)
      }
    ),
  ] + sessionDirectives
)

private let sessionDirectives: [Directive<TLSDraft>] = [
  .value(
    "tickets",
    \.settings.givesTickets,
    .flag,
    "Whether clients keep their sessions as tickets, so that the next connection begins faster.",
    example: "tickets off"
  ),
  file(
    "ticket_secret",
    \.settings.ticketSecret,
    "A file of 32 to 256 bytes from which the keys of tickets are made: servers that have the same take "
      + "each other's tickets. Without it, tickets are good for this instance alone.",
    example: "ticket_secret /etc/martlet/tickets.key",
    check: { bytes, _ throws(TLSError) in
      guard (32...256).contains(bytes.count) else {
        throw TLSError("a secret has 32 to 256 bytes, this one has \(bytes.count)")
      }
    }
  ),
  .value(
    "ticket_rotation",
    \.settings.ticketRotation,
    .duration(within: .seconds(1) ... .seconds(86_400)),
    "How long one key seals tickets; it opens them for two further spans of this length. Servers that have "
      + "the same `ticket_secret` take each other's tickets only where this is the same too.",
    example: "ticket_rotation 1h"
  ),
  .value(
    "session_time",
    \.settings.sessionTime,
    .duration(within: .seconds(1) ... .seconds(2 * 86_400)),
    "How long a session may be continued: by a ticket for as long as its key opens it at most.",
    example: "session_time 4h"
  ),
  Directive(
    "key_log",
    form: "PATH",
    "A file to which the secrets of all sessions are written, for Wireshark and the like to read what was "
      + "recorded. Whoever has it can read everything: it is for looking for defects alone.",
    example: "key_log /var/log/martlet/keys.log",
    read: { statement, draft, reading in
      let example = "key_log /var/log/martlet/keys.log"
      guard let word = reading.onlyWord(of: statement, example: example),
        let path = reading.value(of: word, .path, in: statement, example: example)
      else { return }
      draft.settings.keyLog = path
      reading.warning(
        "whoever reads `\(path)` can read what all clients say",
        mend: "remove `key_log` when the defect is found",
        at: statement.range
      )
    },
    show: { draft, mask in draft.settings.keyLog.map { .text(mask.shown($0)) } ?? .null }
  ),
  .value(
    "ocsp",
    \.settings.staples,
    .flag,
    "Whether clients are shown, together with a certificate, what its authority says of it: that it was not "
      + "revoked. Who is to be asked for that stands in the certificate; nobody is where none is named.",
    example: "ocsp off"
  ),
  .value(
    "ocsp_responder",
    \.settings.responder,
    .given(.responderURL),
    unset: "that which the certificate names",
    "The URL of who is asked about the certificates of files.",
    example: "ocsp_responder http://ocsp.internal:8080/"
  ),
  file(
    "ocsp_response",
    \.settings.stapledResponse,
    "A response in DER form that is shown with the certificate that it is about, instead of one that is "
      + "asked for.",
    example: "ocsp_response /etc/martlet/shop.ocsp",
    check: { bytes, _ throws(TLSError) in
      guard TLSCertificateStatus.isResponse(bytes) else {
        throw TLSError("it is no response of a responder in DER form")
      }
    }
  ),
  .value(
    "handshake_timeout",
    \.settings.handshakeTimeout,
    .duration(within: .milliseconds(100) ... .seconds(120)),
    "How long a handshake may take; of several servers of a listener the longest time counts.",
    example: "handshake_timeout 5s"
  ),
]

/// A directive with the path of a file, whose content is checked where it is at hand.
func file<Draft: Sendable>(
  _ name: String,
  _ path: any WritableKeyPath<Draft, String?> & Sendable,
  _ sentence: String,
  example: String,
  check: @escaping @Sendable ([UInt8], inout Draft) throws(TLSError) -> Void
) -> Directive<Draft> {
  Directive(
    name,
    form: "PATH",
    sentence,
    example: example,
    read: { statement, draft, reading in
      guard let word = reading.onlyWord(of: statement, example: example),
        let file = reading.file(of: word, in: statement, example: example)
      else { return }
      draft[keyPath: path] = file.path
      guard let bytes = file.bytes else { return }
      do throws(TLSError) {
        try check(bytes, &draft)
      } catch {
        reading.error(
          "`\(file.path)` cannot be used: \(error)",
          mend: "for example `\(example)`",
          at: word.range
        )
      }
    },
    show: { draft, mask in draft[keyPath: path].map { .text(mask.shown($0)) } ?? .null }
  )
}

extension ValueKind where Value == String {
  /// What OpenSSL calls a cipher or a group.
  fileprivate static var tlsName: ValueKind {
    ValueKind(
      "NAME",
      read: { text throws(ValueError) in
        let isName = text.utf8.allSatisfy { byte in
          switch byte {
          case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
          default: "-_".utf8.contains(byte)
          }
        }
        guard isName, (1...64).contains(text.utf8.count) else {
          throw ValueError("`\(text)` is no name of a cipher or a group")
        }
        return text
      },
      write: { $0 }
    )
  }
}

extension ValueKind where Value == String {
  /// The URL of who is asked about certificates.
  fileprivate static var responderURL: ValueKind {
    ValueKind(
      "URL",
      read: { text throws(ValueError) in
        let isPlain = text.utf8.allSatisfy {
          (0x21...0x7E).contains($0) && $0 != 0x40 && $0 != 0x23
        }
        let host = text.drop { $0 != ":" }.dropFirst(3).prefix { $0 != "/" }
        guard text.hasPrefix("http://") || text.hasPrefix("https://"), !host.isEmpty, isPlain,
          text.utf8.count <= 1024
        else {
          throw ValueError("`\(text)` is no URL of http:// or https://", mend: "http://\(text)")
        }
        return text
      },
      write: { $0 }
    )
  }
}

// What does not go together.
extension Reading {
  /// Reads a certificate and its key, and notes what is wrong with them where they are at hand.
  mutating func certificate(of statement: Statement, example: String) -> CertificateSettings? {
    guard let word = statement.arguments.first else {
      lacksValue(statement, example: example)
      return nil
    }
    refuseWords(of: statement, from: 2, example: example)
    let keyWord = statement.arguments.count > 1 ? statement.arguments[1] : word
    guard let certificates = file(of: word, in: statement, example: example),
      let key = file(of: keyWord, in: statement, example: example)
    else { return nil }
    let settings = CertificateSettings(certificates: certificates.path, key: key.path)
    guard let pem = certificates.bytes, let keyPEM = key.bytes else { return settings }
    do throws(TLSError) {
      _ = try TLSIdentity(certificates: pem, key: keyPEM)
    } catch {
      self.error(
        "the certificate cannot be used: \(error)",
        mend: "name a certificate and its key, both in PEM form: "
          + "`openssl x509 -noout -text -in \(certificates.path)` shows what is in the file",
        at: statement.range
      )
    }
    return settings
  }

  fileprivate mutating func check(_ block: TLSDraft, at range: SourceRange) {
    let settings = block.settings
    do throws(TLSError) {
      _ = try TLSContext(
        server: "",
        [],
        policy: settings.policy,
        protocols: [],
        resumption: TLSResumption(tickets: nil)
      )
    } catch {
      self.error(
        "\(error)",
        mend: "`openssl ciphers -s -v` and `openssl ecparam -list_curves` tell what there is",
        at: range
      )
    }
    if settings.clientDemand != .off, settings.clientAuthorities == nil {
      error(
        "`client_certificate` does not say who vouches for clients",
        mend: "write `client_authorities /etc/martlet/clients.pem`",
        at: range
      )
    }
    if settings.clientDemand == .off, settings.clientAuthorities != nil {
      warning(
        "clients are not asked for certificates, so that their authorities do not count",
        mend: "write `client_certificate required`",
        at: range
      )
    }
  }

  /// Notes listeners and certificates that do not go together.
  mutating func checkTLS(_ servers: [ServerDraft]) {
    var firsts: [Address: (isTLS: Bool, range: SourceRange)] = [:]
    var certified: Set<Address> = []
    for server in servers {
      let listeners = zip(server.settings.listeners, server.listenerRanges)
      for (listener, range) in listeners {
        let first = firsts[listener.address] ?? (listener.isTLS, range)
        firsts[listener.address] = first
        if first.isTLS != listener.isTLS {
          error(
            "another server says otherwise about TLS on `\(listener.address)`",
            mend: "write `tls` behind both, or behind none",
            at: range,
            notes: [Diagnostic.Note("the first one", place(first.range))]
          )
        }
        if !server.settings.certificates.isEmpty || server.settings.isAutomatic {
          certified.insert(listener.address)
        }
      }
      let isTLS = server.settings.listeners.contains(where: \.isTLS)
      if !isTLS, !server.settings.isAutomatic,
        let range = server.certificateRanges.first ?? server.tlsRange
      {
        warning(
          "no listener of the server speaks TLS",
          mend: "write `listen :443 tls`",
          at: range
        )
      }
      for route in server.routes
      where route.settings.overrides.clientDemand == .required
        && server.settings.tls.clientDemand == .off
      {
        error(
          "a route wants certificates of clients, which the server does not ask for",
          mend: "write `tls { client_certificate optional }` into the server",
          at: route.range
        )
      }
      if isTLS, server.settings.tls.clientDemand != .off, server.settings.certificates.isEmpty,
        !server.settings.isAutomatic
      {
        error(
          "a server that asks clients for certificates needs one of its own",
          mend: "write `certificate /etc/martlet/shop.pem /etc/martlet/shop.key` into its block",
          at: server.tlsRange ?? server.range
        )
      }
    }
    for (address, first) in firsts.sorted(by: { $0.value.range.start < $1.value.range.start })
    where first.isTLS && !certified.contains(address) {
      error(
        "no server on `\(address)` has a certificate",
        mend: "write `tls auto` into its block, or "
          + "`certificate /etc/martlet/shop.pem /etc/martlet/shop.key`",
        at: first.range
      )
    }
  }
}
