public import Configuration

/// Finds the first route, in the order written, whose pattern takes a path.
///
/// A look-up walks the path once. It costs what the path is long and how many patterns take it, not
/// how many there are. Paths and patterns are compared in the form of ``PathEscapes``: what a member
/// takes for one path, the routes take for one path.
public struct PathTable: Sendable {
  private var tries = ByteTrie()
  private var segments: SegmentTrie
  private let root: Int
  // The patterns, grouped by where they end; each group in the order written.
  private var indices: [UInt32] = []

  /// Compiles the table; a pattern is known by its index, which is its rank as well.
  public init(_ patterns: [PathPattern]) {
    var plain: [[UInt8]: ByteTrie.Patterns] = [:]
    var others: [(index: Int, segments: [PathPattern.Segment], prefix: String?)] = []
    for (index, pattern) in patterns.enumerated() {
      switch pattern.form {
      case .exact(let text): plain[Self.key(text), default: .init()].exacts.append(index)
      case .prefix(let text): plain[Self.key(text), default: .init()].prefixes.append(index)
      case .segments(let segments, let prefix):
        others.append((index, segments.map(Self.normalized), prefix.map(Self.normalized)))
      }
    }
    root = tries.add(plain, indices: &indices)
    segments = SegmentTrie(others, tries: &tries, indices: &indices)
  }

  private static func key(_ text: String) -> [UInt8] {
    PathEscapes.normalized(Array(text.utf8))
  }

  private static func normalized(_ text: String) -> String {
    String(decoding: key(text), as: UTF8.self)
  }

  private static func normalized(_ segment: PathPattern.Segment) -> PathPattern.Segment {
    if case .literal(let text) = segment { .literal(normalized(text)) } else { segment }
  }

  /// The lowest index whose pattern takes `path` and for which `isMet` is true.
  ///
  /// `isMet` is asked in the order written, only for patterns that take the path, and no more once
  /// it was true.
  ///
  /// - Complexity: O(*n* + *m*) in the bytes of the path and the patterns that are asked for; no
  ///   allocation while at most eight different patterns take the path and it has at most 256 bytes
  ///   or no escape that is compared otherwise than it is written.
  @inlinable
  public func firstMatch(_ path: Span<UInt8>, where isMet: (Int) -> Bool) -> Int? {
    var candidates = Candidates()
    collect(path, into: &candidates)
    while let index = next(of: &candidates) {
      if isMet(index) { return index }
    }
    return nil
  }

  /// Collects the patterns that take `path`, in whatever form it is written.
  @usableFromInline
  func collect(_ path: Span<UInt8>, into candidates: inout Candidates) {
    guard PathEscapes.areIn(path), let escape = PathEscapes.firstDifference(in: path) else {
      return collectNormalized(path, into: &candidates)
    }
    PathEscapes.withNormalized(path, from: escape) { collectNormalized($0, into: &candidates) }
  }

  private func collectNormalized(_ path: Span<UInt8>, into candidates: inout Candidates) {
    tries.visit(path, from: 0, root: root) { candidates.add($0) }
    if !segments.isEmpty, path.count > 0, path[0] == UInt8(ascii: "/") {
      segments.visit(path, tries: tries, into: &candidates)
    }
  }

  @usableFromInline
  func next(of candidates: inout Candidates) -> Int? {
    candidates.next(of: indices.span)
  }
}
