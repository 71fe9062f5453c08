import Directives
import TLS

/// What the block `certificates` says, with its place.
struct IssuanceDraft: Sendable {
  var settings = IssuanceSettings()
}

/// How certificates are obtained.
let issuanceBlock = Directive<FileDraft>.block(
  "certificates",
  form: "",
  issuanceDirectives,
  "How certificates are obtained for servers with `tls auto`: from whom, and where they are kept.",
  example: "certificates {\n  contact admin@shop.example\n}",
  begin: { statement, reading in
    reading.refuseWords(of: statement, from: 0, example: "certificates { … }")
    return IssuanceDraft()
  },
  end: { block, statement, draft, reading in
    if let first = draft.issuanceRange {
      reading.error(
        "`certificates` stands twice",
        mend: "write all of it into one block",
        at: statement.name.range,
        notes: [Diagnostic.Note("the first one", reading.place(first))]
      )
      return
    }
    draft.issuanceRange = statement.range
    draft.issuance = block.settings
    if block.settings.proofs.contains(.dns), block.settings.dnsCommand.isEmpty {
      reading.error(
        "`proofs dns` does not say which program makes the records",
        mend: "write `dns_command /usr/local/bin/records`",
        at: statement.range
      )
    }
  },
  show: { draft, mask in
    issuanceDirectives.shown(IssuanceDraft(settings: draft.issuance), mask)
  }
)

private let issuanceDirectives = DirectiveTable<IssuanceDraft>(
  "certificates",
  "How certificates are obtained for servers with `tls auto`.",
  makeDefault: { IssuanceDraft() },
  [
    .value(
      "storage",
      \.settings.storage,
      .optional(.path, none: "auto"),
      unset: "auto: `/var/lib/martlet/certificates`, or a place below the user's home",
      "Where keys and certificates are kept. Several instances may share it, on one machine or several.",
      example: "storage /var/lib/martlet/certificates"
    ),
    .list(
      "contact",
      \.settings.contacts,
      .mail,
      unset: "nobody",
      "Whom an authority may write to when something is wrong.",
      example: "contact admin@shop.example"
    ),
    authorityBlock,
    .list(
      "proofs",
      \.settings.proofs,
      .choice,
      unset:
        "those that can work: `http` with a listener without TLS, `tls`, `dns` with its program",
      "How it is proven that a name is ours: by an answer on port 80, by a certificate on port 443, by a "
        + "record of the name. Where one way fails the next one is tried. Names with `*` are proven by "
        + "records.",
      example: "proofs tls http"
    ),
    .list(
      "dns_command",
      \.settings.dnsCommand,
      .text("WORD"),
      unset: "none",
      "A program, with its arguments, that makes and removes records. It finds what to do in its "
        + "environment: `MARTLET_ACTION` is `add` or `remove`, then there are `MARTLET_RECORD`, "
        + "`MARTLET_TEXT` and `MARTLET_NAME`.",
      example: "dns_command /usr/local/bin/records shop"
    ),
    .value(
      "dns_delay",
      \.settings.dnsDelay,
      .duration(within: .seconds(0) ... .seconds(3600)),
      "How long a record takes until everybody sees it.",
      example: "dns_delay 1m"
    ),
  ]
)

/// An authority with what is said of it.
struct AuthorityDraft: Sendable {
  var settings = AuthoritySettings(directory: "")
}

private let authorityBlock = Directive<IssuanceDraft>.block(
  "authority",
  form: "URL",
  authorityDirectives,
  need: .optional,
  "An authority that gives certificates by ACME, by the URL of its directory; the next one is asked "
    + "where it gives none. Without this line that is Let's Encrypt.",
  example: "authority https://acme-v02.api.letsencrypt.org/directory",
  begin: { statement, reading -> AuthorityDraft? in
    let example = "authority https://acme-v02.api.letsencrypt.org/directory"
    guard let word = reading.onlyWord(of: statement, example: example),
      let url = reading.value(of: word, .secureURL, in: statement, example: example)
    else { return nil }
    return AuthorityDraft(settings: AuthoritySettings(directory: url))
  },
  end: { authority, statement, draft, reading in
    if (authority.settings.keyID == nil) != (authority.settings.key == nil) {
      reading.error(
        "`key_id` and `key` go together: the authority gives both",
        mend: "write both, or none of them",
        at: statement.range
      )
    }
    draft.settings.authorities.append(authority.settings)
  },
  show: { draft, mask in
    .list(
      draft.settings.authorities.map { authority in
        let url = JSONValue.Member("url", .text(mask.shown(authority.directory)))
        let inner = authorityDirectives.shown(AuthorityDraft(settings: authority), mask)
        guard case .object(let members) = inner else { return .null }
        return .object([url] + members)
      }
    )
  }
)

private let authorityDirectives = DirectiveTable<AuthorityDraft>(
  "authority",
  "An authority that gives certificates by ACME.",
  makeDefault: { AuthorityDraft() },
  [
    file(
      "trust",
      \.settings.trust,
      "The certificates, in PEM form, by which the authority's own server is believed; without it those "
        + "of the system.",
      example: "trust /etc/martlet/acme.pem",
      check: { bytes, _ throws(TLSError) in _ = try TLSAuthorities(pem: bytes) }
    ),
    .value(
      "key_id",
      \.settings.keyID,
      .given(.text("NAME")),
      unset: "none",
      "What the authority calls an account that was made with it before: external account binding.",
      example: "key_id 3f9a"
    ),
    Directive(
      "key",
      form: "TEXT",
      "The key of that account as the authority has given it: a secret, best kept in a file.",
      example: "key \"c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA\"",
      read: { statement, draft, reading in
        let example = "key {file /etc/martlet/account.key}"
        guard let word = reading.onlyWord(of: statement, example: example),
          let text = reading.plainText(of: word, in: statement, example: example)
        else { return }
        reading.hide(text)
        let isKey = text.utf8.allSatisfy { byte in
          switch byte {
          case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
          default: "-_+/=".utf8.contains(byte)
          }
        }
        guard isKey, (8...512).contains(text.utf8.count) else {
          reading.error("this is no key in the form of Base64", at: word.range)
          return
        }
        draft.settings.key = text
      },
      show: { draft, _ in draft.settings.key == nil ? .null : .text("***") }
    ),
  ]
)

extension ValueKind where Value == String {
  /// The URL of something that is asked over TLS.
  fileprivate static var secureURL: ValueKind {
    ValueKind(
      "URL",
      read: { text throws(ValueError) in
        guard text.hasPrefix("https://") else {
          let rest = text.hasPrefix("http://") ? String(text.dropFirst("http://".count)) : text
          throw ValueError("`\(text)` does not begin with https://", mend: "https://\(rest)")
        }
        let host = text.dropFirst("https://".count).prefix { $0 != "/" }
        guard !host.isEmpty, text.utf8.count <= 1024,
          text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !text.contains("@"),
          !text.contains("#")
        else { throw ValueError("`\(text)` is no URL of a directory") }
        do throws(ValueError) {
          _ = try Address(host.contains(":") && !host.hasSuffix("]") ? String(host) : "\(host):443")
        } catch {
          throw ValueError("`\(host)` is no host")
        }
        return text
      },
      write: { $0 }
    )
  }

  /// An address of mail.
  fileprivate static var mail: ValueKind {
    ValueKind(
      "MAIL",
      read: { text throws(ValueError) in
        let text = text.hasPrefix("mailto:") ? String(text.dropFirst(7)) : text
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), text.utf8.count <= 254,
          text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x2C && $0 != 0x3F })
        else { throw ValueError("`\(text)` is no address of mail", mend: "admin@shop.example") }
        return text
      },
      write: { $0 }
    )
  }
}

extension Reading {
  /// Lets servers with `tls auto` that do not say where they listen do so at the usual ports, and sends
  /// those who come without TLS there.
  mutating func addUsualListeners(of draft: inout FileDraft) {
    var added: [ServerDraft] = []
    for index in draft.servers.indices {
      let server = draft.servers[index]
      guard server.settings.isAutomatic, server.settings.listeners.isEmpty else { continue }
      let range = server.tlsRange ?? server.range
      draft.servers[index].settings.listeners = [
        ListenerSettings(address: .any(port: 443), isTLS: true)
      ]
      draft.servers[index].listenerRanges = [range]
      let isTaken = draft.servers.contains { other in
        other.settings.listeners.contains { $0.address == .any(port: 80) }
          && (other.settings.names.isEmpty && server.settings.names.isEmpty
            || !Set(other.settings.names).isDisjoint(with: server.settings.names))
      }
      guard !isTaken else { continue }
      var plain = ServerDraft()
      plain.range = server.range
      plain.settings.names = server.settings.names
      plain.nameRanges = server.nameRanges
      plain.settings.listeners = [ListenerSettings(address: .any(port: 80))]
      plain.listenerRanges = [range]
      plain.settings.accessLog = server.settings.accessLog
      var route = RouteDraft(path: .prefix("/"), range: range)
      let target = Template([
        .literal(Array("https://".utf8)), .variable(.requestHost), .variable(.requestTarget),
      ])
      route.handler = .redirect(status: 308, target: target)
      plain.routes = [route]
      added.append(plain)
    }
    draft.servers += added
  }

  /// Notes what stands in the way of certificates that are to be obtained.
  mutating func checkNeeds(_ draft: FileDraft) {
    for server in draft.servers where server.settings.isAutomatic {
      let needs = server.settings.certificateNeeds.filter { !$0.isLocal }
      if needs.contains(where: \.hasWildcard), draft.issuance.dnsCommand.isEmpty {
        error(
          "an authority gives certificates for names with `*` only to who can make records of them",
          mend: "write `certificates { dns_command /usr/local/bin/records }`",
          at: server.tlsRange ?? server.range
        )
      }
      if server.settings.listeners.allSatisfy({ !$0.isTLS }) {
        warning(
          "no listener of the server speaks TLS",
          mend: "write `listen :443 tls`",
          at: server.tlsRange
        )
      }
    }
    for server in draft.servers {
      for route in server.routes {
        guard case .authority? = route.handler else { continue }
        if case .prefix = route.settings.path.form {
        } else {
          error(
            "`acme` needs all paths that begin with its own",
            mend: "write a path that ends in `/`, as `/acme/`",
            at: route.range
          )
        }
        if !server.settings.listeners.contains(where: \.isTLS) {
          warning(
            "clients of ACME want to speak TLS, which no listener of the server does",
            mend: "write `listen :443 tls` and `tls auto`",
            at: route.range
          )
        }
      }
    }
    let isUsed = draft.servers.contains { server in
      server.settings.isAutomatic || !server.settings.certificates.isEmpty
    }
    if draft.issuanceRange != nil, !isUsed {
      warning(
        "no certificate is obtained: no server has `tls auto`",
        mend: "write `tls auto` into a server",
        at: draft.issuanceRange
      )
    }
  }
}
