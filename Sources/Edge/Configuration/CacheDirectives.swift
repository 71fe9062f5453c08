import Directives

/// What stands in a `cache` outside of blocks.
let cacheStoreDirectives = DirectiveTable<CacheSettings>(
  "cache",
  "A store of answers in memory, which all loops share, and perhaps on a disk behind that. Routes keep answers "
    + "in it by `cache NAME`. What is asked for rarely does not push out what is asked for often.",
  makeDefault: { CacheSettings(name: "") },
  [
    .value(
      "memory",
      \.memoryBytes,
      .size(within: 1 << 20...1 << 40),
      "How many bytes the store may hold, those of answers that are being received too.",
      example: "memory 1GB"
    ),
    diskDirective,
    .value(
      "object_limit",
      \.objectBytes,
      .given(.size(within: 1 << 10...1 << 36)),
      unset: "a sixteenth of `memory`",
      "How large the body of an answer may be that is kept in memory; a larger one goes to `disk` alone, or passes "
        + "without being kept where there is none.",
      example: "object_limit 16MB"
    ),
    .value(
      "key_limit",
      \.keyBytes,
      .size(within: 64...65_536),
      "How long scheme, host, path and query together may be; the answers to longer ones are not kept.",
      example: "key_limit 4KB"
    ),
    .value(
      "variants",
      \.variantCount,
      .count(within: 1...256),
      "How many answers are kept for one URL, which differ in what their `Vary` names.",
      example: "variants 16"
    ),
  ]
)

private let diskDirective = Directive<CacheSettings>(
  "disk",
  form: "DIR SIZE",
  bounds: "16MB to 65536GB",
  defaultText: "nowhere",
  "Keeps answers in the folder NAME below this one as well, in files that have at most so many bytes together: "
    + "what has no place in memory is there, and all of it when Martlet is started again.",
  example: "disk /var/cache/martlet 10GB",
  read: { statement, settings, reading in
    let example = "disk /var/cache/martlet 10GB"
    guard statement.arguments.count > 1 else {
      reading.error(
        "`disk` needs a folder, and how many bytes there may be in it",
        mend: "for example `\(example)`",
        at: statement.range
      )
      return
    }
    reading.refuseWords(of: statement, from: 2, example: example)
    let path = reading.value(
      of: statement.arguments[0],
      folderPath,
      in: statement,
      example: example
    )
    let size = reading.value(of: statement.arguments[1], diskSize, in: statement, example: example)
    guard let path, let size else { return }
    settings.disk = CacheDiskSettings(path: path, byteLimit: size)
  },
  show: { settings, mask in
    guard let disk = settings.disk else { return .null }
    return .object([
      JSONValue.Member("path", .text(mask.shown(disk.path))),
      JSONValue.Member("size", diskSize.json(disk.byteLimit, mask)),
    ])
  }
)

private let diskSize = ValueKind<Int>.size(within: 16 << 20...1 << 46)

/// `cache`, outside of blocks.
let cacheStoreBlock = Directive<FileDraft>.block(
  "cache",
  form: "NAME",
  cacheStoreDirectives,
  need: .optional,
  "A store of answers in memory, in which routes keep what their upstream has answered.",
  example: "cache main {\n  memory 1GB\n  object_limit 16MB\n}",
  begin: { statement, reading -> CacheSettings? in
    let example = "cache main { memory 1GB }"
    guard let word = reading.onlyWord(of: statement, example: example),
      let name = reading.value(of: word, .name(), in: statement, example: example)
    else { return nil }
    if name == "off" {
      reading.error(
        "a cache cannot be named `off`, which in routes means that nothing is kept",
        mend: "give it another name",
        at: word.range
      )
    }
    return CacheSettings(name: name)
  },
  end: { cache, statement, draft, reading in
    if let first = draft.cacheRanges.updateValue(statement.range, forKey: cache.name) {
      reading.error(
        "there are two caches named `\(cache.name)`",
        mend: "give one of them another name",
        at: statement.arguments.first?.range ?? statement.range,
        notes: [Diagnostic.Note("the first one", reading.place(first))]
      )
      return
    }
    if cache.objectLimit > cache.memoryBytes / 4 {
      reading.error(
        "`object_limit` is more than a quarter of `memory`",
        mend: "write a larger `memory`, or a smaller `object_limit`",
        at: statement.range
      )
    }
    if let disk = cache.disk, disk.byteLimit < cache.memoryBytes {
      reading.warning(
        "the `disk` is smaller than the `memory`, which is written there too",
        mend: "write a larger one, or remove it",
        at: statement.range
      )
    }
    draft.caches.append(cache)
  },
  show: { draft, mask in
    .list(
      draft.caches.map { cache in
        let name = JSONValue.Member("name", .text(mask.shown(cache.name)))
        return cacheStoreDirectives.shown(cache, mask, behind: name)
      }
    )
  }
)

/// What stands in the `cache` of a route.
let routeCacheDirectives = DirectiveTable<RouteCacheSettings>(
  "route cache",
  "What a route keeps of the answers of its upstream, and when it sends that; what answers say of themselves "
    + "(`Cache-Control` and its like) comes first.",
  makeDefault: { RouteCacheSettings(store: "") },
  [
    keepDirective,
    keyDirective,
    .value(
      "stale_while_revalidate",
      \.staleWhileRevalidate,
      staleTimes,
      "For how long a stale answer is sent at once, while it is validated behind that; where an answer says so "
        + "itself, that counts.",
      example: "stale_while_revalidate 30s"
    ),
    .value(
      "stale_if_error",
      \.staleIfError,
      staleTimes,
      "For how long a stale answer is sent when the upstream does not answer, or with 500, 502, 503 or 504; where "
        + "an answer says so itself, that counts.",
      example: "stale_if_error 1h"
    ),
    .value(
      "client_directives",
      \.client,
      .choice,
      "Whether `Cache-Control` and `Pragma` of requests count: whoever may ask for fresh answers may make the "
        + "upstream work.",
      example: "client_directives ignored"
    ),
    .value(
      "set_cookie",
      \.cookies,
      .choice,
      "What becomes of answers that set cookies: they are kept where they say that they are meant for all by "
        + "`public` or `s-maxage`; not at all; without their cookies; as they are.",
      example: "set_cookie remove"
    ),
    .value(
      "quota",
      \.quota,
      .given(.size(within: 64 << 10...1 << 46)),
      unset: "as much as the store has",
      "How much of the memory of the store the answers of this route may take, and of routes that share them: when it "
        + "is full, they make room for each other.",
      example: "quota 200MB"
    ),
    .list(
      "body_methods",
      \.bodyMethods,
      .choice,
      unset: "none",
      "The methods besides GET and HEAD whose answers are kept, each for one body of the request and its type. Those "
        + "to POST are kept only where they say themselves for how long, and whoever writes this says that such a POST "
        + "changes nothing.",
      example: "body_methods QUERY POST"
    ),
    .value(
      "body_limit",
      \.bodyLimit,
      .size(within: 1...1 << 20),
      "How long the body of such a request may be; one with a longer body goes to the upstream.",
      example: "body_limit 16KB"
    ),
    .value(
      "ranges",
      \.ranges,
      rangeRule,
      "What the upstream is asked for when a client wants a part that is not there: the whole, that part, or the "
        + "slices of this size that it is in. Parts with the same strong `ETag` are put together.",
      example: "ranges 1MB"
    ),
    .value(
      "pass_time",
      \.passTime,
      .duration(within: .zero ... .seconds(86_400)),
      "How long requests for a URL do not wait for each other after an answer to one that could not be kept.",
      example: "pass_time 10s"
    ),
    .value(
      "cache_status",
      \.showsStatus,
      .flag,
      "Whether answers say what the cache did, in the field `Cache-Status`.",
      example: "cache_status off"
    ),
  ]
)

private let sliceSizes = ValueKind<Int>.size(within: 64 << 10...1 << 30)

private let rangeRule = ValueKind<CacheRangeRule>(
  "whole|asked|SIZE",
  bounds: "64KB to 1GB",
  words: ["whole", "asked"],
  read: { text throws(ValueError) in
    switch text {
    case "whole": .whole
    case "asked": .asked
    default: .slices(try sliceSizes.read(text))
    }
  },
  write: { rule in
    switch rule {
    case .whole: "whole"
    case .asked: "asked"
    case .slices(let count): sliceSizes.write(count)
    }
  }
)

private let staleTimes = ValueKind<Duration>.duration(within: .zero ... .seconds(30 * 86_400))

private let keepDirective = Directive<RouteCacheSettings>(
  "keep",
  form: "[STATUS…] TIME",
  bounds: "0ms to 365d",
  repeats: true,
  "How long answers are fresh that do not say so: those of the statuses, or all; the first such line that fits "
    + "counts.",
  example: "keep 404 410 10s",
  read: { statement, settings, reading in
    let example = "keep 404 410 10s"
    guard let last = statement.arguments.last else {
      return reading.lacksValue(statement, example: example)
    }
    let times = ValueKind<Duration>.duration(within: .zero ... .seconds(365 * 86_400))
    let time = reading.value(of: last, times, in: statement, example: example)
    let statuses = statement.arguments.dropLast().map { word in
      reading.value(of: word, ValueKind<Int>.count(within: 200...599), in: statement)
    }
    guard let time, statuses.allSatisfy({ $0 != nil }) else { return }
    if statuses.isEmpty { settings.times.append(CacheTime(status: nil, time: time)) }
    for case let status? in statuses {
      settings.times.append(CacheTime(status: status, time: time))
    }
  },
  show: { settings, mask in
    let times = ValueKind<Duration>.duration(within: .zero ... .seconds(365 * 86_400))
    return .list(
      settings.times.map { entry in
        .object([
          JSONValue.Member("status", entry.status.map { .number($0) } ?? .null),
          JSONValue.Member("time", times.json(entry.time, mask)),
        ])
      }
    )
  }
)

/// `cache`, of servers and routes; `shown` is what counts for one.
func cacheDirective<Draft: Sendable>(
  _ path: any WritableKeyPath<Draft, CacheDraft> & Sendable,
  _ sentence: String,
  shown: @escaping @Sendable (Draft) -> RouteCacheSettings?
) -> Directive<Draft> {
  let example = "cache main"
  return .block(
    "cache",
    form: "NAME|off",
    routeCacheDirectives,
    need: .optional,
    words: ["off"],
    sentence,
    example: "cache main {\n  stale_if_error 1h\n}",
    begin: { statement, reading -> RouteCacheSettings? in
      guard let word = reading.onlyWord(of: statement, example: example),
        let name = reading.value(of: word, .name(), in: statement, example: example)
      else { return nil }
      if name == "off", statement.block != nil {
        reading.error(
          "`cache off` has no block",
          mend: "write `cache off`, or the name of a cache",
          at: statement.range
        )
      }
      return RouteCacheSettings(store: name)
    },
    end: { cache, statement, draft, reading in
      if draft[keyPath: path].statement != nil {
        reading.error("`cache` stands twice", mend: "remove one of them", at: statement.name.range)
      }
      draft[keyPath: path] = CacheDraft(
        settings: cache.store == "off" ? nil : cache,
        statement: statement
      )
    },
    show: { draft, mask in
      guard let cache = shown(draft) else { return nil }
      let store = JSONValue.Member("store", .text(mask.shown(cache.store)))
      return routeCacheDirectives.shown(cache, mask, behind: store)
    }
  )
}

/// `cache`, of servers.
let serverCacheDirective = cacheDirective(
  \ServerDraft.cache,
  "What the routes with `proxy` keep of the answers of their upstreams that say nothing else of it themselves.",
  shown: { $0.cache.settings }
)

/// `cache`, of routes.
let routeCacheDirective = cacheDirective(
  \RouteDraft.cache,
  "Keeps the answers of the upstream in the store of this name, and answers from there as RFC 9111 allows. "
    + "Requests for one URL that come together become one request to the upstream. Where nothing is said, what the "
    + "server says counts; `off` keeps nothing.",
  shown: { $0.settings.cache }
)

extension Reading {
  /// Gives routes what their servers say of caches, where they say nothing themselves.
  func placeCaches(of draft: inout FileDraft) {
    for server in draft.servers.indices {
      let usual = draft.servers[server].cache.settings
      for route in draft.servers[server].routes.indices {
        let own = draft.servers[server].routes[route].cache
        var cache = own.settings
        if own.statement == nil, case .proxy? = draft.servers[server].routes[route].handler {
          cache = usual
        }
        draft.servers[server].routes[route].settings.cache = cache
      }
    }
  }

  /// Notes caches of routes that cannot be, and caches that nobody uses.
  mutating func checkCaches(_ draft: FileDraft) {
    let names = draft.caches.map(\.name)
    let routes = draft.servers.flatMap(\.routes)
    for cache in draft.servers.map(\.cache) + routes.map(\.cache) {
      guard let store = cache.settings?.store, !names.contains(store),
        let word = cache.statement?.arguments.first
      else { continue }
      let near = nearestName(to: store, among: names.sorted())
      error(
        "there is no cache named `\(store)`",
        mend: near.map { "write `cache \($0)`" }
          ?? "write `cache \(store) { memory 256MB }` outside of every block",
        at: word.range
      )
    }
    for route in routes {
      guard let statement = route.cache.statement, route.cache.settings != nil else { continue }
      if case .proxy? = route.handler { continue }
      error(
        "only what an upstream answers is kept",
        mend: "write `proxy` into the route, or remove its `cache`",
        at: statement.range
      )
    }
    let used = Set(routes.compactMap(\.settings.cache?.store))
    for name in names where !used.contains(name) && !hasErrors {
      warning(
        "no route uses the cache `\(name)`",
        mend: "write `cache \(name)` into a route or a server, or remove it",
        at: draft.cacheRanges[name]
      )
    }
  }
}
