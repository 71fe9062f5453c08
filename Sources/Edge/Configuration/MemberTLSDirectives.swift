import Directives
import TLS

/// A `tls` block of an upstream with what its checks need.
struct MemberTLSDraft: Sendable {
  var settings = MemberTLSSettings()
  var authorities: [UInt8]?
}

/// The block of upstreams about TLS with members.
let memberTLSBlock = Directive<UpstreamDraft>.block(
  "tls",
  form: "",
  memberTLSDirectives,
  need: .optional,
  "Speaks TLS with members, and sees to it that each is who it should be.",
  example: "tls { server_name app.internal }",
  begin: { statement, reading in
    reading.refuseWords(of: statement, from: 0, example: "tls { server_name app.internal }")
    return MemberTLSDraft()
  },
  end: { block, statement, draft, reading in
    if draft.settings.tls != nil {
      reading.error(
        "`tls` stands twice",
        mend: "write all of it into one block",
        at: statement.range
      )
    }
    draft.settings.tls = block.settings
    if !block.settings.verifies {
      reading.warning(
        "whoever is on the way to the members can read and change everything",
        mend:
          "write `authorities` with the certificates of who vouches for them instead of `verify off`",
        at: statement.range
      )
    }
    if draft.settings.proxyProtocol != nil { reading.refuseProxyHeader(at: statement.range) }
  },
  show: { draft, mask in
    draft.settings.tls.map { settings in
      memberTLSDirectives.shown(MemberTLSDraft(settings: settings), mask)
    } ?? .null
  }
)

extension Reading {
  fileprivate mutating func refuseProxyHeader(at range: SourceRange) {
    error(
      "a PROXY header and TLS do not go together towards members",
      mend: "remove `proxy_protocol` or `tls`",
      at: range
    )
  }
}

private let memberTLSDirectives = DirectiveTable<MemberTLSDraft>(
  "upstream tls",
  "How TLS is spoken with the members of an upstream.",
  makeDefault: { MemberTLSDraft() },
  [
    .value(
      "verify",
      \.settings.verifies,
      .flag,
      "Whether a member must have a certificate for its name that an authority vouches for.",
      example: "verify on"
    ),
    .value(
      "server_name",
      \.settings.serverName,
      .given(.text("NAME", maxBytes: 253)),
      unset: "the member's own",
      "The name that members are asked for, and that their certificates must have.",
      example: "server_name app.internal"
    ),
    file(
      "authorities",
      \.settings.authorities,
      "The certificates of the authorities that vouch for members, in PEM form, in place of those that "
        + "the system believes.",
      example: "authorities /etc/martlet/internal.pem",
      check: { bytes, draft throws(TLSError) in
        draft.authorities = bytes
        _ = try TLSAuthorities(pem: bytes)
      }
    ),
    file(
      "revoked",
      \.settings.revocations,
      "The revocation lists of these authorities, in PEM form: one for each. A certificate of which no "
        + "list tells is not good.",
      example: "revoked /etc/martlet/internal.crl",
      check: { bytes, draft throws(TLSError) in
        guard let authorities = draft.authorities else { return }
        _ = try TLSAuthorities(pem: authorities, revoked: bytes)
      }
    ),
    certificate,
    .value(
      "policy",
      \.settings.preset,
      .choice,
      "Which versions and ciphers are spoken.",
      example: "policy modern"
    ),
  ]
)

private let certificate = Directive<MemberTLSDraft>(
  "certificate",
  form: "CERTIFICATE [KEY]",
  "What members are shown that ask for a certificate.",
  example: "certificate /etc/martlet/client.pem /etc/martlet/client.key",
  read: { statement, draft, reading in
    draft.settings.certificate = reading.certificate(
      of: statement,
      example: "certificate /etc/martlet/client.pem /etc/martlet/client.key"
    )
  },
  show: { draft, mask in
    draft.settings.certificate.map { certificate in
      .object([
        JSONValue.Member("certificate", .text(mask.shown(certificate.certificates))),
        JSONValue.Member("key", .text(mask.shown(certificate.key))),
      ])
    } ?? .null
  }
)
