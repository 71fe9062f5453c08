public import Configuration

/// Finds the first route, in the order written, whose pattern takes a path.
///
/// A look-up walks the path once. It costs what the path is long and how many patterns take it, not
/// how many there are.
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
      case .exact(let text): plain[Array(text.utf8), default: .init()].exacts.append(index)
      case .prefix(let text): plain[Array(text.utf8), default: .init()].prefixes.append(index)
      case .segments(let segments, let prefix): others.append((index, segments, prefix))
      }
    }
    root = tries.add(plain, indices: &indices)
    segments = SegmentTrie(others, tries: &tries, indices: &indices)
  }

  /// The lowest index whose pattern takes `path` and for which `isMet` is true.
  ///
  /// `isMet` is asked in the order written, only for patterns that take the path, and no more once
  /// it was true.
  ///
  /// - Complexity: O(*n* + *m*) in the bytes of the path and the patterns that are asked for; no
  ///   allocation while at most eight different patterns take the path.
  @inlinable
  public func firstMatch(_ path: Span<UInt8>, where isMet: (Int) -> Bool) -> Int? {
    var candidates = candidates(for: path)
    while let index = next(of: &candidates) {
      if isMet(index) { return index }
    }
    return nil
  }

  @usableFromInline
  func candidates(for path: Span<UInt8>) -> Candidates {
    var candidates = Candidates()
    tries.visit(path, from: 0, root: root) { candidates.add($0) }
    if !segments.isEmpty, path.count > 0, path[0] == UInt8(ascii: "/") {
      segments.visit(path, tries: tries, into: &candidates)
    }
    return candidates
  }

  @usableFromInline
  func next(of candidates: inout Candidates) -> Int? {
    candidates.next(of: indices.span)
  }
}
