import Admin
import Configuration
import Directives
import Edge
import JSON
import JSONRPC
import MartletSystem

// The methods of the control socket that are about caches.

extension EdgeService {
  /// Performs a method about caches.
  func performCaches(
    _ method: String,
    _ arguments: RPCArguments,
    of server: EdgeServer
  ) async throws(RPCError) -> JSONValue {
    let cache = arguments.text("cache")
    if let cache { try Self.check(cache, of: server) }
    switch method {
    case "cache.list": return .object(["caches": .list(server.caches().map(\.json))])
    case "cache.show":
      let found = await server.cachedObjects(in: cache, url: arguments.text("url"), limit: 1000)
      return .object(["objects": .list(found.map(\.json))])
    case "cache.top":
      let limit = arguments.number("limit") ?? 20
      let found = await server.cachedObjects(in: cache, url: nil, limit: limit)
      return .object(["objects": .list(found.map(\.json))])
    case "cache.purge": return try await Self.purge(arguments, of: server)
    default: throw RPCError(RPCError.methodNotFound, "an edge process has no method `\(method)`")
    }
  }

  private static func check(_ cache: String, of server: EdgeServer) throws(RPCError) {
    let names = server.caches().map(\.name)
    guard !names.contains(cache) else { return }
    let near = nearestName(to: cache, among: names).map { ": did you mean `\($0)`?" }
    throw ControlFault.noCache.error("there is no cache `\(cache)`\(near ?? "")")
  }

  private static func purge(
    _ arguments: RPCArguments,
    of server: EdgeServer
  ) async throws(RPCError) -> JSONValue {
    var wishes: [(what: CachePurge, text: String)] = []
    if let url = arguments.text("url") { wishes.append((.url(url), "`\(url)`")) }
    if let prefix = arguments.text("prefix") {
      wishes.append((.prefix(prefix), "what begins with `\(prefix)`"))
    }
    if let pattern = arguments.text("pattern") {
      wishes.append((.pattern(pattern), "`\(pattern)`"))
    }
    if let tag = arguments.text("tag") { wishes.append((.tag(tag), "the tag `\(tag)`")) }
    if arguments.flag("all") { wishes.append((.everything, "everything")) }
    guard wishes.count == 1, let wish = wishes.first else {
      throw RPCError(
        RPCError.invalidParameters,
        "`cache.purge`: say one of `url`, `prefix`, `pattern`, `tag` and `all`"
      )
    }
    let isSoft = arguments.flag("soft")
    let cache = arguments.text("cache")
    _ = server.purge(wish.what, in: cache, softly: isSoft)
    var message = "\(wish.text) is \(isSoft ? "stale from now on" : "no longer kept")"
    if await !server.settlePurges(in: cache) {
      message += "; a disk could not note that: purge once more when Martlet was started again"
    }
    return .object(["message": .text(message)])
  }
}

extension CacheView {
  fileprivate var json: JSONValue {
    .object([
      "cache": .text(name), "objects": .number(objectCount), "bytes": .number(byteCount),
      "limit": .number(limit), "evictions": .number(Int(clamping: evictionCount)),
      "refusals": .number(Int(clamping: refusalCount)),
      "disk_state": .text(disk?.state ?? "none"),
      "disk_objects": .number(disk?.objectCount ?? 0),
      "disk_bytes": .number(disk?.byteCount ?? 0), "disk_limit": .number(disk?.limit ?? 0),
    ])
  }
}

extension CheckedConfiguration {
  /// Makes the folders of caches and sessions, for the user that will use them.
  ///
  /// - Returns: What is wrong: a cache without its disk is one in memory, and sessions are not to be had.
  func prepareFolders() -> [String] {
    let caches = configuration.caches.compactMap { cache in
      cache.disk.map { (path: "\($0.path)/\(cache.name)", owner: "the cache `\(cache.name)`") }
    }
    let sessions = configuration.sessions.compactMap { sessions in
      if case .files(let path, _) = sessions.store {
        (path: path, owner: "the sessions `\(sessions.name)`")
      } else {
        nil
      }
    }
    return (caches + sessions).compactMap { folder in
      do throws(SystemError) {
        let process = configuration.process
        let owner = try process.user.map { user throws(SystemError) in
          try UserRights(user: user, group: process.group)
        }
        try Files.makePrivateDirectory(folder.path, for: owner)
        return nil
      } catch {
        return "cannot make the folder \(folder.path) of \(folder.owner): \(error)"
      }
    }
  }
}

extension CachedObjectView {
  fileprivate var json: JSONValue {
    .object([
      "cache": .text(cache), "url": .text(url), "status": .number(status),
      "bytes": .number(byteCount), "age": .number(Int(clamping: age)),
      "ttl": .number(Int(clamping: timeToLive)), "frequency": .number(frequency),
      "place": .text(place.rawValue), "length": .number(length), "vary": .text(vary),
    ])
  }
}
