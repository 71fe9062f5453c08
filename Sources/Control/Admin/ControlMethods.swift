public import JSONRPC

/// The methods of the control socket.
///
/// Supervisor, edge, commands, the manual and `rpc.discover` all take them from here.
public enum ControlMethods {
  /// All methods.
  public static let table = MethodTable(
    instance + upstreams + members + connections + tasks + tables + caches + certificates + changes
  )

  /// Those that an edge process performs.
  public static let ofEdge = Set(
    (upstreams + members + connections + tasks + tables + caches + certificates).map(\.name) + [
      "metrics", "config.changes", "config.discard",
    ]
  )

  /// Those after which something may be different that a later edge process has to know.
  public static let changing: Set<String> = {
    let verbs = ["add", "remove", "enable", "disable", "drain", "weigh"]
    let names = (upstreams + members).map(\.name)
    return Set(names.filter { name in verbs.contains { name.hasSuffix(".\($0)") } })
      .union(["config.discard"])
  }()

  // MARK: The instance

  private static let instance = [
    RPCMethod(
      "status",
      "Tells what runs: processes, listeners, members, rates.",
      [RPCParameter("text", .flag, isOptional: true, "Whether it is told in lines for people.")]
    ),
    RPCMethod(
      "metrics",
      "Gives the figures in the text form of Prometheus.",
      result: message("text")
    ),
    RPCMethod(
      "reload",
      "Puts the changed configuration in force; one with errors changes nothing.",
      result: message("message"),
      errors: [ControlFault.failed.declared]
    ),
    RPCMethod(
      "reopen",
      "Opens the log files anew, after they were renamed.",
      result: message("message"),
      errors: [ControlFault.failed.declared]
    ),
    RPCMethod(
      "upgrade",
      "Executes the binary that was installed meanwhile; not within a batch.",
      result: message("message"),
      errors: [ControlFault.failed.declared]
    ),
    RPCMethod(
      "stop",
      "Ends once what is under way has ended, or at the drain limit.",
      result: message("message")
    ),
  ]

  private static func message(_ name: String) -> RPCType {
    .object([RPCParameter(name, .text(maxBytes: 16 << 20), "What there is to say.")])
  }

  // MARK: Parameters

  private static let name = RPCType.text(maxBytes: 4096)

  private static let upstream = RPCParameter("upstream", name, "The name of the upstream.")

  private static let member = RPCParameter("member", name, "The address of the member, as written.")

  private static let keep = RPCParameter(
    "keep",
    .flag,
    isOptional: true,
    "Whether the change outlives reloads; else the configuration wins at the next one."
  )

  /// What a change gives.
  private static let changed = RPCType.object([
    RPCParameter("message", .text(maxBytes: 8192), "What is different now, and for how long."),
    RPCParameter("kept", .flag, "Whether it outlives a reload."),
  ])

  private static let refusals: [RPCError] = [
    ControlFault.noUpstream, .noMember, .exists, .inUse, .wrongText, .tooMany, .notKept,
    .unavailable,
  ].map(\.declared)

  private static func change(
    _ name: String,
    _ sentence: String,
    _ parameters: [RPCParameter]
  ) -> RPCMethod {
    RPCMethod(name, sentence, parameters + [keep], result: changed, errors: refusals)
  }

  // MARK: Upstreams

  private static let upstreams = [
    RPCMethod(
      "upstream.list",
      "Tells all upstreams with the state of their members.",
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "upstream.show",
      "Tells one upstream with the state of its members.",
      [upstream],
      errors: [ControlFault.noUpstream, .unavailable].map(\.declared)
    ),
    change(
      "upstream.add",
      "Adds an upstream.",
      [
        upstream,
        RPCParameter(
          "lines",
          .text(maxBytes: 64 << 10),
          "The lines of its block, in the language of the configuration."
        ),
      ]
    ),
    change("upstream.remove", "Removes an upstream that no route names.", [upstream]),
    change("upstream.enable", "Lets members take what they can.", [upstream]),
    change("upstream.drain", "Lets no member take new requests.", [upstream]),
    change("upstream.disable", "Lets no member take anything.", [upstream]),
  ]

  // MARK: Members

  private static let members = [
    RPCMethod(
      "member.list",
      "Tells the members of an upstream, or of all.",
      [RPCParameter("upstream", name, isOptional: true, "The name of the upstream.")],
      errors: [ControlFault.noUpstream, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "member.show",
      "Tells one member.",
      [upstream, member],
      errors: [ControlFault.noUpstream, .noMember, .unavailable].map(\.declared)
    ),
    change(
      "member.add",
      "Adds a member.",
      [
        upstream,
        RPCParameter("member", name, "Its address and its options, as behind `member` in a file."),
      ]
    ),
    change(
      "member.remove",
      "Removes a member; what is under way with it goes on.",
      [upstream, member]
    ),
    change(
      "member.weigh",
      "Gives a member another share.",
      [
        upstream, member,
        RPCParameter("weight", .number(0...256), "Its share; 0: no new requests."),
      ]
    ),
    change("member.enable", "Lets a member take requests.", [upstream, member]),
    change(
      "member.drain",
      "Lets a member take no new requests but those of clients that belong to it.",
      [upstream, member]
    ),
    change("member.disable", "Lets a member take nothing new at all.", [upstream, member]),
  ]

  // MARK: Connections

  private static let filters = [
    RPCParameter("listener", name, isOptional: true, "Only those of this listener."),
    RPCParameter(
      "client",
      name,
      isOptional: true,
      "Only those from this address or network, as `10.0.0.0/8`."
    ),
    RPCParameter("upstream", name, isOptional: true, "Only those with a request at this upstream."),
    RPCParameter("member", name, isOptional: true, "Only those with a request at this member."),
    RPCParameter(
      "older_than",
      .number(0...31_536_000),
      isOptional: true,
      "Only those that are open for longer, in seconds."
    ),
    RPCParameter("idle", .flag, isOptional: true, "Only those that wait for a request."),
  ]

  private static let connections = [
    RPCMethod(
      "connection.list",
      "Tells open connections of clients, some at a time.",
      filters + [
        RPCParameter("limit", .number(1...1000), isOptional: true, "The most; 100 if not given."),
        RPCParameter(
          "after",
          .text(maxBytes: 64),
          isOptional: true,
          "What `next` of the answer before has said."
        ),
      ],
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "connection.close",
      "Closes connections of clients, with what is under way on them.",
      [
        RPCParameter(
          "connections",
          .list(.text(maxBytes: 64), maxCount: 1000),
          isOptional: true,
          "Only these."
        )
      ] + filters + [
        RPCParameter(
          "all",
          .flag,
          isOptional: true,
          "Needed where nothing else says which."
        ),
        RPCParameter(
          "soft",
          .flag,
          isOptional: true,
          "Whether those with a request under way end with its answer."
        ),
      ],
      result: .object([
        RPCParameter("closed", .number(0...Int.max), "How many were closed, or will be.")
      ]),
      errors: [ControlFault.unavailable.declared]
    ),
  ]

  private static let tasks = [
    RPCMethod(
      "task.list",
      "Tells what the coroutines of the edge process do, and what they wait for.",
      [
        RPCParameter("name", .text(maxBytes: 128), isOptional: true, "Only those of this name."),
        RPCParameter("limit", .number(1...1000), isOptional: true, "The most; 100 if not given."),
      ],
      errors: [ControlFault.unavailable.declared]
    )
  ]

  // MARK: Tables

  private static let tableName = RPCParameter("table", name, "Its name, as `table.list` tells it.")

  private static let tables = [
    RPCMethod(
      "table.list",
      "Tells the tables of sticky clients and of limits, with how much they hold.",
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "table.read",
      "Tells one table.",
      [tableName],
      errors: [ControlFault.noTable, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "table.clear",
      "Forgets what a table remembers.",
      [tableName],
      result: message("message"),
      errors: [ControlFault.noTable, .notClearable, .unavailable].map(\.declared)
    ),
  ]

  // MARK: Caches

  private static let cacheName = RPCParameter(
    "cache",
    name,
    isOptional: true,
    "Only the cache of this name."
  )

  private static let caches = [
    RPCMethod(
      "cache.list",
      "Tells all caches with how much they hold.",
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "cache.show",
      "Tells the answers that are kept for a URL, in memory and on the disk.",
      [RPCParameter("url", .text(maxBytes: 65_536), "With scheme and host."), cacheName],
      errors: [ControlFault.noCache, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "cache.top",
      "Tells the answers that are asked for most.",
      [
        RPCParameter("limit", .number(1...1000), isOptional: true, "The most; 20 if not given."),
        cacheName,
      ],
      errors: [ControlFault.noCache, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "cache.purge",
      "Has answers forgotten, or be stale from now on; one of the first five says which.",
      [
        RPCParameter("url", .text(maxBytes: 65_536), isOptional: true, "One URL."),
        RPCParameter("prefix", .text(maxBytes: 65_536), isOptional: true, "URLs that begin so."),
        RPCParameter(
          "pattern",
          .text(maxBytes: 65_536),
          isOptional: true,
          "URLs of this form, in which `*` stands for anything."
        ),
        RPCParameter("tag", name, isOptional: true, "Answers with this tag."),
        RPCParameter("all", .flag, isOptional: true, "Everything."),
        RPCParameter("soft", .flag, isOptional: true, "Whether they are stale only."),
        cacheName,
      ],
      result: message("message"),
      errors: [ControlFault.noCache, .unavailable].map(\.declared)
    ),
  ]

  // MARK: Certificates

  private static let certificate = RPCParameter("certificate", name, "One of its names.")

  private static let certificates = [
    RPCMethod(
      "certificate.list",
      "Tells the certificates that are obtained for servers with `tls auto`.",
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "certificate.show",
      "Tells one certificate.",
      [certificate],
      errors: [ControlFault.noCertificate, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "certificate.renew",
      "Obtains a certificate although it is not the time.",
      [certificate],
      result: message("message"),
      errors: [ControlFault.noCertificate, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "certificate.test",
      "Sees whether authorities would give a certificate, without getting one; `running` says that they "
        + "have not decided yet: the same call then waits for what comes.",
      [certificate],
      errors: [ControlFault.failed, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "certificate.revoke",
      "Revokes a certificate that was obtained, or that the authority of this machine has given.",
      [
        RPCParameter(
          "certificates",
          .text(maxBytes: 64 << 10),
          isOptional: true,
          "The certificate in PEM form."
        ),
        RPCParameter(
          "certificate",
          name,
          isOptional: true,
          "A name for which the certificate is served."
        ),
        RPCParameter(
          "number",
          .text(maxBytes: 64),
          isOptional: true,
          "Its number in hexadecimal digits, where there is no certificate."
        ),
        RPCParameter(
          "reason",
          .number(0...10),
          isOptional: true,
          "Why, as RFC 5280 numbers the reasons: 0, 1, 3, 4 or 5."
        ),
      ],
      result: message("message"),
      errors: [ControlFault.failed, .unavailable].map(\.declared)
    ),
    RPCMethod(
      "certificate.import",
      "Serves a certificate that was obtained otherwise, until it is time to renew it.",
      [
        RPCParameter(
          "certificates",
          .text(maxBytes: 64 << 10),
          "The certificate with those that vouch for it, in PEM form."
        ),
        RPCParameter("key", .text(maxBytes: 64 << 10), "Its key, in PEM form: a secret."),
      ],
      result: message("message"),
      errors: [ControlFault.failed, .unavailable].map(\.declared)
    ),
  ]

  // MARK: Changes as a whole

  private static let changes = [
    RPCMethod(
      "config.changes",
      "Tells what is different from the configuration, and for how long.",
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "config.discard",
      "Drops all changes: the configuration is in force as it was read.",
      result: message("message"),
      errors: [ControlFault.unavailable.declared]
    ),
    RPCMethod(
      "config.write",
      "Writes what was changed into the configuration, and reloads it.",
      [
        RPCParameter(
          "dry_run",
          .flag,
          isOptional: true,
          "Whether nothing is written: the answer has the difference."
        )
      ],
      result: .object([
        RPCParameter("message", .text(maxBytes: 16 << 20), "What was done."),
        RPCParameter("diff", .text(maxBytes: 16 << 20), "The difference, as `diff -u` writes it."),
        RPCParameter("files", .list(.text(maxBytes: 4096), maxCount: 10_000), "The files."),
      ]),
      errors: [ControlFault.unavailable, .failed].map(\.declared)
    ),
  ]
}
