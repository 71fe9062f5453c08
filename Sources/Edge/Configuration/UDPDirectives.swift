import Directives

/// A `udp` block with its places.
struct UDPDraft: Sendable {
  var settings = UDPSettings()
  var range = SourceRange(source: 0, start: 0, end: 0)
  /// One for each listener.
  var listenerRanges: [SourceRange] = []
  /// The directive that says where datagrams go.
  var proxyStatement: Statement?
  /// The members of `proxy ADDRESS…`.
  var members: [Address] = []
  var limits = LimitDraft()
}

/// The block of datagrams.
let udpBlock = Directive<FileDraft>.block(
  "udp",
  form: "",
  udpDirectives,
  "Passes datagrams to an upstream, and their replies back.",
  example: "udp {\n  listen :5353\n  proxy 127.0.0.1:5354\n}",
  begin: { statement, reading -> UDPDraft? in
    if let word = statement.arguments.first {
      reading.error("`udp` has no name", mend: "write `udp { … }`", at: word.range)
      return nil
    }
    var draft = UDPDraft()
    draft.range = statement.range
    return draft
  },
  end: { udp, statement, draft, reading in
    if udp.proxyStatement == nil {
      reading.error(
        "the block does not say where the datagrams go",
        mend: "write `proxy 127.0.0.1:5354`, or `proxy NAME` with an upstream, into it",
        at: statement.range
      )
    }
    draft.udp.append(udp)
  },
  show: { draft, mask in .list(draft.udp.map { udpDirectives.shown($0, mask) }) }
)

/// What stands in a `udp` block.
let udpDirectives = DirectiveTable<UDPDraft>(
  "udp",
  "A block that passes datagrams to the members of an upstream. What comes from one address and port of "
    + "a client is a flow: it stays with one member, whose replies go back to the client.",
  makeDefault: { UDPDraft() },
  [
    listen,
    proxy,
    .value(
      "flow_timeout",
      \.settings.flowTimeout,
      .duration(within: .milliseconds(100) ... .seconds(86_400)),
      "How long a flow may be without a datagram in either direction; then it is over.",
      example: "flow_timeout 5s"
    ),
    .value(
      "replies",
      \.settings.replyCount,
      .optional(.count(within: 0...1_000_000), none: "any"),
      "How many replies each datagram of a client has; when all have come, the flow is over, and with 0 "
        + "at once.",
      example: "replies 1"
    ),
    .value(
      "max_flows",
      \.settings.maxFlowCount,
      .count(within: 1...1_000_000),
      "How many flows there may be at once, all loops together; a further one ends the one that was "
        + "without a datagram for longest.",
      example: "max_flows 4096"
    ),
    datagramLimit,
    accessLog,
  ]
)

private let listen = Directive<UDPDraft>(
  "listen",
  form: "ADDRESS",
  repeats: true,
  "Where datagrams are received.",
  example: "listen :5353",
  read: { statement, draft, reading in
    let example = "listen :5353"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    reading.refuseWords(of: statement, from: 1, example: example)
    guard let address = reading.value(of: word, .listener, in: statement, example: example) else {
      return
    }
    if case .unix = address {
      return reading.error(
        "datagrams are received at an address with a port",
        mend: "write `\(example)`",
        at: word.range
      )
    }
    draft.settings.listeners.append(address)
    draft.listenerRanges.append(statement.range)
  },
  show: { draft, mask in
    .list(draft.settings.listeners.map { .text(mask.shown($0.description)) })
  }
)

private let proxy = Directive<UDPDraft>(
  "proxy",
  form: "UPSTREAM, or ADDRESS…",
  "Passes the datagrams to a member of the upstream of this name, or of these addresses.",
  example: "proxy 127.0.0.1:5354 127.0.0.1:5355",
  read: { statement, draft, reading in
    draft.proxyStatement = statement
    guard let target = reading.proxyTarget(of: statement, example: "proxy 127.0.0.1:5354") else {
      return
    }
    draft.settings.upstream = target.name
    draft.members = target.members
  },
  show: { draft, mask in .text(mask.shown(draft.settings.upstream)) }
)

private let accessLog = Directive<UDPDraft>.accessLog(
  \.settings.accessLog,
  [.text, .json],
  "Where flows are recorded when they are over, and in which form.",
  example: "access_log /var/log/martlet/udp.log json"
)

// What can only be known when everything is read.
extension Reading {
  /// Notes what `udp` blocks cannot do.
  mutating func checkDatagrams(_ draft: FileDraft) {
    var firsts: [Address: SourceRange] = [:]
    for udp in draft.udp {
      if udp.settings.listeners.isEmpty, !hasErrors {
        warning(
          "the block listens nowhere, no datagram can reach it",
          mend: "write `listen :5353` into it",
          at: udp.range
        )
      }
      for (address, range) in zip(udp.settings.listeners, udp.listenerRanges) {
        guard let first = firsts.updateValue(range, forKey: address) else { continue }
        error(
          "datagrams to `\(address)` are received already",
          mend: "give one of them another address",
          at: range,
          notes: [Diagnostic.Note("the first one", place(first))]
        )
      }
      guard
        let upstream = draft.upstreams.first(where: { $0.settings.name == udp.settings.upstream })
      else { continue }
      let hasUnix = upstream.settings.members.contains { member in
        if case .unix = member.address { true } else { false }
      }
      if hasUnix {
        error(
          "a member of `\(upstream.settings.name)` is a Unix socket, which takes no datagrams here",
          mend: "give it an address with a port",
          at: udp.proxyStatement?.range ?? udp.range
        )
      }
      if upstream.settings.proxyProtocol != nil {
        error(
          "datagrams are passed without PROXY headers, which `\(upstream.settings.name)` wants",
          mend: "remove `proxy_protocol` there, or name the members in an upstream of their own",
          at: udp.proxyStatement?.range ?? udp.range
        )
      }
    }
  }
}
