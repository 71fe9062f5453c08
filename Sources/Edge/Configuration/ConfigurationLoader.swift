public import Directives

/// Reads configurations: from text to values, with everything that is wrong.
public enum ConfigurationLoader {
  /// What a text says.
  public struct Loaded: Sendable {
    /// The settings; nil when there is an error.
    public var configuration: EdgeConfiguration?
    /// Errors and warnings, in the order of the text; at most ``Diagnostic/maxCount``.
    public var diagnostics: [Diagnostic]
    /// How many there are besides.
    public var omittedCount: Int
    /// Every setting with the value in force, secrets as `***`; nil when there is an error.
    public var effective: JSONValue?
  }

  /// Reads a text that includes no files and asks for no values from elsewhere.
  public static func load(name: String, text: String) -> Loaded {
    load(SourceBundle(name: name, text: text))
  }

  /// Reads what a bundle holds; nothing else is opened or asked.
  public static func load(_ bundle: SourceBundle) -> Loaded {
    var reading = Reading(bundle)
    reading.homes = homes
    reading.synonyms = synonyms
    var draft = FileDraft()
    let statements = reading.statements()
    fileDirectives.read(statements, into: &draft, &reading)
    let configuration = reading.configuration(of: &draft)
    let files = Dictionary(
      reading.sources.enumerated().map { ($0.element.name, $0.offset) },
      uniquingKeysWith: { first, _ in first }
    )
    let diagnostics = reading.diagnostics.enumerated().sorted { left, right in
      let places = [left, right].map { item in
        (item.element.place.map { files[$0.file] ?? 0 } ?? .max, item.element.place, item.offset)
      }
      let keys = places.map { ($0.0, $0.1?.line ?? 0, $0.1?.column ?? 0, $0.2) }
      return keys[0] < keys[1]
    }.map(\.element)
    return Loaded(
      configuration: reading.hasErrors ? nil : configuration,
      diagnostics: diagnostics,
      omittedCount: reading.omittedCount,
      effective: reading.hasErrors ? nil : fileDirectives.shown(draft, reading.mask)
    )
  }

  /// The directives whose words are paths of files that belong to a bundle.
  public static let attachingDirectives: Set<String> = attachedFileDirectives

  /// The blocks and directives of the language, for the manual and for completion.
  public static let references: [BlockReference] = {
    // A block that stands in several others is told once.
    var names: Set<String> = []
    return fileDirectives.references.filter { names.insert($0.name).inserted }
  }()

  // What people write who come from other products.
  private static let synonyms = [
    "add_header": "`response header add`", "backend": "`upstream`", "bind": "`listen`",
    "client_max_body_size": "`body_limit`", "frontend": "`server`", "handle": "`route`",
    "keepalive_timeout": "`idle_timeout`", "location": "`route`", "root": "`files ROOT`",
    "alias": "`files ROOT` with `strip_prefix`",
    "brotli": "`compress`", "encode": "`compress`", "gzip": "`compress`",
    "gzip_comp_level": "`level` in `compress`", "gzip_min_length": "`min_size` in `compress`",
    "gzip_static": "`precompressed` in `files`", "gzip_types": "`types` in `compress`",
    "autoindex": "`listing on` in `files`", "file_server": "`files`",
    "try_files": "`try` in `files`",
    "proxy_cache": "`cache`", "proxy_cache_path": "`cache`",
    "proxy_cache_valid": "`keep` in `cache`",
    "expires": "`cache_control` in `files`", "open_file_cache": "`open_files` in `files`",
    "proxy_connect_timeout": "`connect_timeout`", "proxy_pass": "`proxy`",
    "proxy_read_timeout": "`read_timeout`", "proxy_set_header": "`request header set`",
    "redir": "`redirect`", "return": "`respond` or `redirect`", "reverse_proxy": "`proxy`",
    "server_name": "the name behind `server`", "upstream/server": "`member`",
    "upstream/health_check": "`check http`", "upstream/max_fails": "`eject`",
    "upstream/option": "`check http`", "upstream/outlier_detection": "`eject`",
    "check/downinter": "`down_interval`", "check/fails": "`fall`",
    "check/fastinter": "`fast_interval`", "check/inter": "`interval`", "check/passes": "`rise`",
    "check/uri": "`path`", "eject/fail_timeout": "`time`", "eject/max_fails": "`failures`",
    "worker_connections": "`max_connections`", "worker_processes": "`loops`",
  ]

  /// The blocks that have a directive, by its name.
  private static let homes: [String: [String]] = {
    var homes: [String: [String]] = [:]
    for block in references {
      for directive in block.directives { homes[directive.name, default: []].append(block.name) }
    }
    return homes
  }()
}

extension ConfigurationLoader.Loaded {
  /// Everything that was found, for people, with a line that counts it at the end; empty when
  /// nothing was found.
  public func rendered(_ style: RenderingStyle = .plain) -> String {
    guard !diagnostics.isEmpty else { return "" }
    var parts = diagnostics.map { $0.rendered(style) + "\n" }
    let errorCount = diagnostics.count { $0.severity == .error }
    let counts = [(errorCount, "error"), (diagnostics.count - errorCount, "warning")]
      .filter { $0.0 > 0 }.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }
    let more = omittedCount > 0 ? ", and \(omittedCount) more that are not shown" : ""
    parts.append(counts.joined(separator: ", ") + more + "\n")
    return parts.joined(separator: "\n")
  }

  /// What `martlet check --json` prints: whether it can be used, what was found, what is in force.
  public var json: JSONValue {
    .object([
      JSONValue.Member("valid", .flag(configuration != nil)),
      JSONValue.Member("diagnostics", .list(diagnostics.map(\.json))),
      JSONValue.Member("omitted", .number(omittedCount)),
      JSONValue.Member("configuration", effective ?? .null),
    ])
  }
}
