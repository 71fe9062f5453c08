import Directives

// What can only be known when everything is read.
extension Reading {
  /// Puts the parts together, and notes what is wrong between them.
  mutating func configuration(of draft: inout FileDraft) -> EdgeConfiguration {
    if draft.servers.isEmpty, draft.tcp.isEmpty, draft.udp.isEmpty, !hasErrors {
      error(
        "the configuration has no server",
        mend: "write `server { … }` with `listen :8080` and `route / { … }` in it",
        at: nil
      )
    }
    addUpstreams(of: &draft)
    placeGateways(of: &draft)
    addUsualListeners(of: &draft)
    placeLimits(of: &draft)
    placeCaches(of: &draft)
    placeSessions(of: &draft)
    checkReferences(draft)
    checkCaches(draft)
    checkAuthorizers(draft)
    checkSendFiles(draft)
    for upstream in draft.upstreams
    where upstream.settings.members.isEmpty && !upstream.namesMember {
      error(
        "the upstream `\(upstream.settings.name)` has no member",
        mend: "write `member 127.0.0.1:9001` into its block",
        at: upstream.range
      )
    }
    for upstream in draft.upstreams {
      checkMembers(of: upstream)
      checkHTTP2(of: upstream)
    }
    checkNames(draft.servers)
    checkTLS(draft.servers)
    checkNeeds(draft)
    checkStreams(draft)
    checkStreamTargets(draft)
    checkDatagrams(draft)
    // Where something could not be read, what seems unused or unreachable may not be.
    if !hasErrors { warn(of: draft) }
    return EdgeConfiguration(
      servers: draft.servers.map { server in
        var settings = server.settings
        settings.routes = server.routes.map { route in
          var settings = route.settings
          if let handler = route.handler { settings.handler = handler }
          return settings
        }
        return settings
      },
      tcp: draft.tcp.map(\.settings),
      udp: draft.udp.map(\.settings),
      upstreams: draft.upstreams.map(\.settings),
      caches: draft.caches,
      sessions: draft.sessions,
      process: draft.process,
      issuance: draft.issuance
    )
  }

  private mutating func warn(of draft: FileDraft) {
    let routed = draft.servers.flatMap(\.routes).compactMap { route in
      if case .proxy(let name)? = route.handler { name } else { nil }
    }
    let asked = draft.servers.flatMap(\.routes).compactMap(\.settings.authorizer?.upstream)
    let unused = Set(draft.upstreams.map(\.settings.name)).subtracting(routed + asked)
      .subtracting(draft.tcp.map(\.settings.upstream))
      .subtracting(draft.tcp.flatMap(\.routes).compactMap(\.settings.upstream))
      .subtracting(draft.udp.map(\.settings.upstream))
    for upstream in draft.upstreams where unused.contains(upstream.settings.name) {
      let name = upstream.settings.name
      let isApplication = upstream.settings.application != nil
      warning(
        "nothing is sent to the \(isApplication ? "application" : "upstream") `\(name)`",
        mend: isApplication
          ? "remove it, or write `app \(name)` into a route"
          : "remove it, or write `proxy \(name)` into a route, a `tcp` or a `udp` block",
        at: upstream.range
      )
    }
    for upstream in draft.upstreams where upstream.settings.queue != nil {
      guard upstream.settings.members.allSatisfy({ $0.maxConnectionCount == nil }) else { continue }
      warning(
        "no member is ever full, nothing waits in the queue",
        mend: "write `max_connections` behind members",
        at: upstream.queueRange
      )
    }
    for upstream in draft.upstreams { checkBalance(of: upstream) }
    for server in draft.servers {
      if server.settings.listeners.isEmpty {
        warning(
          "the server listens nowhere, no request can reach it",
          mend: "write `listen :8080` into its block",
          at: server.range
        )
      }
      if server.routes.isEmpty {
        warning(
          "the server has no route, it answers 404 to everything",
          mend: "write `route / { … }` into its block",
          at: server.range
        )
      }
      checkRoutes(server.routes)
    }
  }

  /// Adds the upstreams of `proxy ADDRESS…`.
  private func addUpstreams(of draft: inout FileDraft) {
    var names = Set(draft.upstreams.map(\.settings.name))
    let routes = draft.servers.flatMap(\.routes).map { ($0.members, $0.handlerStatement, $0.range) }
    let authorizers = draft.servers.flatMap(\.routes)
      .map { ($0.authorizerMembers, $0.authorizerStatement, $0.range) }
    let blocks =
      draft.tcp.map { ($0.members, $0.proxyStatement, $0.range) }
      + draft.tcp.flatMap(\.routes).map { ($0.members, $0.handlerStatement, $0.range) }
      + draft.udp.map { ($0.members, $0.proxyStatement, $0.range) }
    for (members, statement, range) in routes + authorizers + blocks where !members.isEmpty {
      var upstream = UpstreamDraft()
      upstream.settings = UpstreamSettings(members: members)
      upstream.range = statement?.range ?? range
      guard names.insert(upstream.settings.name).inserted else { continue }
      draft.upstreams.append(upstream)
    }
  }

  private mutating func checkReferences(_ draft: FileDraft) {
    let names = Set(draft.upstreams.map(\.settings.name))
    let routes = draft.servers.flatMap(\.routes).compactMap { route -> (String, Statement)? in
      guard case .proxy(let name)? = route.handler else { return nil }
      return route.handlerStatement.map { (name, $0) }
    }
    let authorizers = draft.servers.flatMap(\.routes).compactMap { route in
      route.authorizerStatement.map { (route.settings.authorizer?.upstream ?? "", $0) }
    }
    checkApplications(routes, draft)
    let all = routes + authorizers + draft.streamTargets
    for (name, statement) in all where statement.title != "app" {
      guard !names.contains(name), let word = statement.arguments.first else { continue }
      let near = nearestName(to: name, among: names.sorted().filter { !$0.contains(":") })
      let isPort = UInt16(name) != nil
      error(
        "there is no upstream named `\(name)`",
        mend: near.map { mend(statement, replacing: word, with: $0) }
          ?? (isPort
            ? "write `proxy 127.0.0.1:\(name)`"
            : "write `upstream \(name) { member 127.0.0.1:9001 }`, or an address with its port"),
        at: word.range
      )
    }
  }

  /// Notes routes to applications that are none.
  private mutating func checkApplications(
    _ routes: [(String, Statement)],
    _ draft: FileDraft
  ) {
    let names = draft.upstreams.filter { $0.settings.application != nil }.map(\.settings.name)
    for (name, statement) in routes where statement.title == "app" && !names.contains(name) {
      guard let word = statement.arguments.first else { continue }
      error(
        "there is no application named `\(name)`",
        mend: nearestName(to: name, among: names.sorted())
          .map { mend(statement, replacing: word, with: $0) }
          ?? "write `app \(name) { wsgi \(name).wsgi:application }` outside of the server",
        at: word.range
      )
    }
  }

  /// Notes upstreams of layer 4 that ask for what only requests have.
  private mutating func checkStreamTargets(_ draft: FileDraft) {
    for (name, statement) in draft.streamTargets {
      guard let upstream = draft.upstreams.first(where: { $0.settings.name == name }) else {
        continue
      }
      let range = statement.arguments.first?.range ?? statement.range
      if upstream.settings.application != nil {
        error(
          "`\(name)` is an application, and layer 4 has no requests to give it",
          mend: "write a server with `route / { app \(name) }`",
          at: range
        )
      }
      if let sticky = upstream.settings.sticky, !sticky.isByAddress {
        error(
          "the upstream `\(name)` is `sticky`, and layer 4 has no requests to know clients by",
          mend: "write an upstream with `sticky by {client.address}` for this block",
          at: range
        )
      }
      if upstream.settings.tls != nil {
        error(
          "the upstream `\(name)` speaks TLS, and layer 4 passes on what clients say as it is",
          mend: "write another upstream for this block",
          at: range
        )
      }
      if case .hash(let key, _) = upstream.settings.balance,
        key.parts != [.variable(.clientAddress)]
      {
        error(
          "the upstream `\(name)` hashes `\(key)`, and layer 4 knows only the address of a client",
          mend: "write an upstream with `balance source_hash` for this block",
          at: range
        )
      }
    }
  }

  /// Gives servers, routes and blocks of layer 4 their limits.
  private mutating func placeLimits(of draft: inout FileDraft) {
    for server in draft.servers.indices {
      resolveLimits(&draft.servers[server].limits, draft.sharedLimits)
      draft.servers[server].settings.trafficLimits = draft.servers[server].limits.settings
      for route in draft.servers[server].routes.indices {
        resolveLimits(&draft.servers[server].routes[route].limits, draft.sharedLimits)
        let limits = draft.servers[server].routes[route].limits.settings
        draft.servers[server].routes[route].settings.overrides.limits = limits
      }
    }
    for tcp in draft.tcp.indices { placeLimits(of: &draft.tcp[tcp], draft.sharedLimits) }
    for udp in draft.udp.indices { draft.udp[udp].settings.limits = draft.udp[udp].limits.settings }
    let own =
      draft.servers.flatMap { server in
        server.settings.trafficLimits + server.routes.flatMap(\.settings.overrides.limits)
      } + draft.tcp.flatMap(\.settings.limits) + draft.udp.flatMap(\.settings.limits)
    let keyed = (own.filter { !$0.isShared } + draft.sharedLimits).filter { $0.key != nil }
    let count = keyed.reduce(0) { $0 + $1.keyCount }
    if count > LimitSettings.mostKeys {
      error(
        "all limits together remember \(count) keys, at most \(LimitSettings.mostKeys) are allowed",
        mend: "write `keys` with a smaller number behind them, or a `shared_limit` for several",
        at: nil
      )
    }
  }

  private struct NameOnAddress: Hashable {
    var address: Address
    var name: HostPattern?
  }

  /// Notes servers that share an address and cannot be told apart.
  private mutating func checkNames(_ servers: [ServerDraft]) {
    var firsts: [NameOnAddress: SourceRange] = [:]
    var fallbacks: [Address: SourceRange] = [:]
    var proxies: [Address: (ProxyReception, SourceRange)] = [:]
    for server in servers {
      for (listener, range) in zip(server.settings.listeners, server.listenerRanges) {
        let address = listener.address
        if listener.isFallback, let first = fallbacks.updateValue(range, forKey: address) {
          error(
            "another server is the fallback of `\(address)` already",
            mend: "remove one `fallback`",
            at: range,
            notes: [Diagnostic.Note("the first one", place(first))]
          )
        }
        if listener.proxy.demand != .off {
          let first = proxies[address] ?? (listener.proxy, range)
          proxies[address] = first
          if first.0 != listener.proxy {
            error(
              "another server says otherwise about PROXY headers on `\(address)`",
              mend: "write the same in both, or in one of them alone",
              at: range,
              notes: [Diagnostic.Note("the first one", place(first.1))]
            )
          }
        }
        for (name, range) in zip(server.settings.names, server.nameRanges) {
          let key = NameOnAddress(address: address, name: name)
          guard let first = firsts[key] else {
            firsts[key] = range
            continue
          }
          warning(
            "another server answers for `\(name)` on `\(address)` already, this one never will",
            mend: "remove one of the names",
            at: range,
            notes: [Diagnostic.Note("the one that answers", place(first))]
          )
        }
        guard server.settings.names.isEmpty else { continue }
        let key = NameOnAddress(address: address, name: nil)
        guard let first = firsts[key] else {
          firsts[key] = server.range
          continue
        }
        warning(
          "another server without a name listens on `\(address)` already, this one never answers",
          mend: "give it a name",
          at: server.range,
          notes: [Diagnostic.Note("the one that answers", place(first))]
        )
      }
    }
  }

  /// Notes routes that never answer.
  private mutating func checkRoutes(_ routes: [RouteDraft]) {
    var index = RouteCoverage()
    let settings = routes.map(\.settings)
    for (place, route) in routes.enumerated() {
      if let other = index.cover(of: route.settings, among: settings) {
        warning(
          "the route can never match: a route above takes everything that it would",
          mend: "move it up, or remove it",
          at: route.range,
          notes: [Diagnostic.Note("the route above", self.place(routes[other].range))]
        )
      }
      index.append(route.settings, at: place)
    }
  }
}

extension StickySettings {
  /// Whether clients are known by nothing but their address.
  fileprivate var isByAddress: Bool {
    if case .key(let key, _) = recognition {
      key.parts == [.variable(.clientAddress)]
    } else {
      false
    }
  }
}
