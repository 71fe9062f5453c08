/// A handler that chooses among actions by method and path.
///
/// A segment of a pattern that begins with `:` takes any segment, one that begins with `*` all that follow:
/// `/users/:name`, `/files/*path`. The first pattern that fits is taken; a path that fits with other methods alone is
/// answered 405, any other 404. HEAD is answered as GET is, without the body.
public struct Routes: Handler {
  private struct Entry: Sendable {
    let method: String
    let segments: [String]
    let action: Action
  }

  private var entries: [Entry] = []

  /// Creates routes that `build` adds.
  public init(_ build: (inout Routes) -> Void) { build(&self) }

  /// Adds a route.
  public mutating func on(_ method: String, _ pattern: String, _ action: @escaping Action) {
    precondition(pattern.hasPrefix("/"), "a pattern begins with `/`")
    entries.append(Entry(method: method, segments: Self.segments(of: pattern), action: action))
  }

  /// Adds a route for GET and HEAD.
  public mutating func get(_ pattern: String, _ action: @escaping Action) {
    on("GET", pattern, action)
  }

  /// Adds a route for POST.
  public mutating func post(_ pattern: String, _ action: @escaping Action) {
    on("POST", pattern, action)
  }

  /// Adds a route for PUT.
  public mutating func put(_ pattern: String, _ action: @escaping Action) {
    on("PUT", pattern, action)
  }

  /// Adds a route for DELETE.
  public mutating func delete(_ pattern: String, _ action: @escaping Action) {
    on("DELETE", pattern, action)
  }

  /// Answers a request by the route that fits.
  ///
  /// - Throws: ``Refusal`` with 404, or what the route throws.
  public func handle(_ request: Request, _ response: Response) async throws {
    let path = Self.segments(of: request.facts.rawPath).map { PathText.decoded($0) }
    let method = request.method == "HEAD" ? "GET" : request.method
    var allowed: [String] = []
    for entry in entries {
      guard let parameters = Self.match(entry.segments, path) else { continue }
      if entry.method == method {
        request.parameters = parameters
        return try await entry.action(request, response)
      }
      if !allowed.contains(entry.method) { allowed.append(entry.method) }
    }
    guard !allowed.isEmpty else { throw Refusal(404) }
    if allowed.contains("GET") { allowed.append("HEAD") }
    response.status = 405
    response.set("Allow", allowed.joined(separator: ", "))
    try await response.send("405 Method Not Allowed\n")
  }

  private static func segments(of path: String) -> [String] {
    path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
  }

  private static func match(_ pattern: [String], _ path: [String]) -> [String: String]? {
    var parameters: [String: String] = [:]
    for (index, segment) in pattern.enumerated() {
      if segment.hasPrefix("*") {
        parameters[String(segment.dropFirst())] = path[min(index, path.count)...]
          .joined(separator: "/")
        return parameters
      }
      guard index < path.count else { return nil }
      if segment.hasPrefix(":") {
        guard !path[index].isEmpty else { return nil }
        parameters[String(segment.dropFirst())] = path[index]
      } else if segment != path[index] {
        return nil
      }
    }
    return pattern.count == path.count ? parameters : nil
  }
}
