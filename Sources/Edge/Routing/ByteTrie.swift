import MartletBytes

/// Tries over bytes, compressed and flat: a node is reached by a label of one or more bytes.
///
/// Several tries share the arrays; each is known by its root. The children of a node lie side by side,
/// as do their first bytes, so that the next node is found by one search sixteen bytes wide.
struct ByteTrie: Sendable {
  private struct Node: Sendable {
    var labelStart: UInt32
    var labelCount: UInt32
    var childStart: UInt32 = 0
    var childCount: UInt32 = 0
    var prefixes = PatternList()
    var exacts = PatternList()
  }

  /// The patterns of one text.
  struct Patterns {
    /// Those that take every path which begins with the text.
    var prefixes: [Int] = []
    /// Those that take exactly the text.
    var exacts: [Int] = []
  }

  private var nodes: [Node] = []
  private var firstBytes: [UInt8] = []
  private var labels: [UInt8] = []

  /// Adds a trie.
  ///
  /// - Returns: The number of its root.
  mutating func add(_ patterns: [[UInt8]: Patterns], indices: inout [UInt32]) -> Int {
    let entries = patterns.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    let root = nodes.count
    append(label: [])
    var waiting: [(node: Int, range: Range<Int>, depth: Int)] = [(root, entries.indices, 0)]
    var position = 0
    while position < waiting.count {
      var (node, range, depth) = waiting[position]
      position += 1
      if let first = range.first, entries[first].key.count == depth {
        let patterns = entries[first].value
        nodes[node].prefixes = PatternList(patterns.prefixes, appendedTo: &indices)
        nodes[node].exacts = PatternList(patterns.exacts, appendedTo: &indices)
        range = range.dropFirst()
      }
      nodes[node].childStart = UInt32(nodes.count)
      while let first = range.first {
        let key = entries[first].key
        let end = range.first { entries[$0].key[depth] != key[depth] } ?? range.upperBound
        // The keys are sorted: what the first and the last share, all of them share.
        let shared = zip(key, entries[end - 1].key).prefix { $0 == $1 }.count
        waiting.append((nodes.count, first..<end, shared))
        append(label: key[depth..<shared])
        nodes[node].childCount += 1
        range = end..<range.upperBound
      }
    }
    return root
  }

  private mutating func append(label: ArraySlice<UInt8>) {
    nodes.append(Node(labelStart: UInt32(labels.count), labelCount: UInt32(label.count)))
    firstBytes.append(label.first ?? 0)
    labels += label
  }

  /// Visits the patterns of the trie `root` that take `path` from `start` on.
  ///
  /// - Complexity: O(*n*) in the bytes of the path, with no allocation.
  @inline(__always)
  func visit(
    _ path: Span<UInt8>,
    from start: Int,
    root: Int,
    _ body: (PatternList) -> Void
  ) {
    let nodes = nodes.span
    let firstBytes = firstBytes.span
    let labels = labels.span
    var node = nodes[root]
    var offset = start
    while true {
      if !node.prefixes.isEmpty { body(node.prefixes) }
      guard offset < path.count else {
        if !node.exacts.isEmpty { body(node.exacts) }
        return
      }
      guard node.childCount > 0 else { return }
      var child = Int(node.childStart)
      if node.childCount == 1 {
        guard firstBytes[child] == path[offset] else { return }
      } else {
        let end = child &+ Int(node.childCount)
        guard
          let found = ByteSearch.firstIndex(of: path[offset], in: firstBytes, from: child, to: end)
        else { return }
        child = found
      }
      node = nodes[child]
      let count = Int(node.labelCount)
      guard count <= path.count &- offset else { return }
      let label = labels.extracting(Int(node.labelStart)..<Int(node.labelStart) &+ count)
      let part = path.extracting(offset..<offset &+ count)
      for index in label.indices where label[index] != part[index] { return }
      offset &+= count
    }
  }
}
