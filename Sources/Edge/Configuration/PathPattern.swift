/// The paths that a route takes.
///
/// A pattern that ends in `/` or `*` takes every path that begins with what stands before the `*`;
/// any other takes exactly the path it is. In the middle, `*` is one segment of at least one
/// character and `**` any number of segments, also none. Patterns are compared with the path
/// byte by byte, after percent-decoding of unreserved characters and without the query.
public struct PathPattern: Hashable, Sendable {
  /// One part of a path between two slashes.
  public enum Segment: Hashable, Sendable {
    /// Exactly this text.
    case literal(String)
    /// One segment, not empty: `*`.
    case one
    /// Any number of segments: `**`.
    case many
  }

  /// What the pattern takes.
  public enum Form: Hashable, Sendable {
    /// Exactly this path.
    case exact(String)
    /// Every path that begins so.
    case prefix(String)
    /// These segments from the front, and behind them: with nil nothing, else a slash and anything
    /// that begins with `prefix`.
    case segments([Segment], prefix: String?)
  }

  /// The longest pattern in bytes.
  public static let maxBytes = 1024
  /// The most segments of a pattern that has `*` in the middle.
  public static let maxSegmentCount = 32

  /// What the pattern takes.
  public let form: Form
  /// The pattern as written; one of `=` without that sign.
  public let text: String

  /// A pattern that takes exactly `path`.
  public static func exact(_ path: String) -> PathPattern {
    PathPattern(form: .exact(path), text: path)
  }

  /// A pattern that takes every path that begins with `path`.
  public static func prefix(_ path: String) -> PathPattern {
    PathPattern(form: .prefix(path), text: path.hasSuffix("/") ? path : "\(path)*")
  }

  init(form: Form, text: String) {
    self.form = form
    self.text = text
  }
}

extension PathPattern {
  /// Whether the pattern takes `path`, which begins with a slash.
  ///
  /// This is the meaning of a pattern, in the plainest form; the router has a faster one.
  ///
  /// - Complexity: O(*n* · *m*) in the segments of the path and of the pattern.
  public func matches(_ path: String) -> Bool {
    switch form {
    case .exact(let exact): return path.utf8.elementsEqual(exact.utf8)
    case .prefix(let prefix): return path.utf8.starts(with: prefix.utf8)
    case .segments(let segments, let prefix):
      let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
      // `ends` holds every number of parts that the segments so far can have taken.
      var ends: Set<Int> = [0]
      for segment in segments {
        switch segment {
        case .literal(let text):
          ends = Set(ends.lazy.filter { $0 < parts.count && parts[$0] == text }.map { $0 + 1 })
        case .one:
          ends = Set(ends.lazy.filter { $0 < parts.count && !parts[$0].isEmpty }.map { $0 + 1 })
        case .many:
          guard let first = ends.min() else { return false }
          ends = Set(first...parts.count)
        }
      }
      guard let prefix else { return ends.contains(parts.count) }
      return ends.contains { $0 < parts.count && startsWith(prefix, parts[$0...]) }
    }
  }

  private func startsWith(_ prefix: String, _ rest: ArraySlice<Substring>) -> Bool {
    rest.joined(separator: "/").utf8.starts(with: prefix.utf8)
  }
}
