import Directives

/// Finds routes that can never match, because one above them takes all of their requests.
///
/// It may miss such a route, where patterns with `*` in the middle meet, but never names one that
/// could match.
struct RouteCoverage {
  // So many routes of one path are compared; a file with more has its reasons.
  private static let comparedCount = 64

  private var prefixes: [String: [Int]] = [:]
  private var exacts: [String: [Int]] = [:]
  private var others: [Int] = []

  /// Takes in the route at an index.
  mutating func append(_ route: RouteSettings, at index: Int) {
    switch route.path.form {
    case .prefix(let path): prefixes[path, default: []].append(index)
    case .exact(let path): exacts[path, default: []].append(index)
    case .segments: others.append(index)
    }
  }

  /// The first route taken in that takes everything `route` would; nil when there is none.
  func cover(of route: RouteSettings, among routes: [RouteSettings]) -> Int? {
    var candidates: [Int] = []
    let known = Self.knownFront(of: route.path)
    var front = ""
    candidates += prefixes[front] ?? []
    for character in known.unicodeScalars {
      front.unicodeScalars.append(character)
      candidates += prefixes[front]?.prefix(Self.comparedCount) ?? []
    }
    if case .exact(let path) = route.path.form {
      candidates += exacts[path]?.prefix(Self.comparedCount) ?? []
    }
    candidates += others.prefix(Self.comparedCount)
    return candidates.sorted().first { index in
      let other = routes[index]
      return Self.takesPaths(other.path, of: route.path) && Self.takesConditions(other, of: route)
    }
  }

  /// What every path of a pattern begins with.
  private static func knownFront(of pattern: PathPattern) -> String {
    switch pattern.form {
    case .prefix(let path), .exact(let path): return path
    case .segments(let segments, let prefix):
      var front = ""
      for segment in segments {
        guard case .literal(let text) = segment else { return "\(front)/" }
        front += "/\(text)"
      }
      return prefix.map { "\(front)/\($0)" } ?? front
    }
  }

  private static func takesPaths(_ pattern: PathPattern, of other: PathPattern) -> Bool {
    if pattern.form == other.form { return true }
    switch (pattern.form, other.form) {
    case (.prefix(let path), _): return knownFront(of: other).utf8.starts(with: path.utf8)
    case (_, .exact(let path)): return pattern.matches(path)
    default: return false
    }
  }

  private static func takesConditions(_ route: RouteSettings, of other: RouteSettings) -> Bool {
    let methods = Set(route.methods)
    return
      (methods.isEmpty || (!other.methods.isEmpty && methods.isSuperset(of: other.methods)))
      && Set(route.headers).isSubset(of: other.headers)
      && Set(route.queries).isSubset(of: other.queries)
      && (route.clients.isEmpty
        || (!other.clients.isEmpty
          && other.clients.allSatisfy { inner in
            route.clients.contains {
              $0.contains(inner.address) && $0.prefixBits <= inner.prefixBits
            }
          }))
  }
}
