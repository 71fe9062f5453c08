import MartletBytes

/// The field lines of a head, in the order received.
///
/// Made to be used again: ``removeAll()`` keeps the room, and touches none of it.
public struct FieldLines: RandomAccessCollection, MutableCollection, Hashable, Sendable {
  /// The lines, with those of earlier heads behind them.
  @usableFromInline var storage: [FieldLine] = []

  /// How many lines there are.
  @inlinable
  public var count: Int { usedCount }
  @usableFromInline var usedCount = 0

  /// Creates an empty collection.
  public init() {}

  /// The place of the first line.
  @inlinable public var startIndex: Int { 0 }

  /// The place behind the last line.
  @inlinable public var endIndex: Int { count }

  /// The line at `index`.
  @inlinable
  public subscript(index: Int) -> FieldLine {
    get {
      precondition(index < count, "a line behind the last one")
      return storage[index]
    }
    set {
      precondition(index < count, "a line behind the last one")
      storage[index] = newValue
    }
  }

  /// Adds a line behind the others.
  @inlinable @inline(__always)
  public mutating func append(_ line: FieldLine) {
    if count < storage.count { storage[count] = line } else { storage.append(line) }
    usedCount &+= 1
  }

  /// Takes all lines out and keeps the room.
  @inlinable @inline(__always)
  public mutating func removeAll() { usedCount = 0 }

  /// The lines side by side.
  @inlinable @inline(__always)
  public var span: Span<FieldLine> {
    @_lifetime(borrow self)
    get { storage.span.extracting(first: usedCount) }
  }

  /// The first line with a known name.
  ///
  /// - Complexity: O(*n*) in the lines.
  @inlinable @inline(__always)
  public func first(_ name: FieldName) -> FieldLine? {
    for line in self where line.name == name { return line }
    return nil
  }

  /// The first line whose name is `name` in any case; `bytes` are those that were parsed.
  ///
  /// - Complexity: O(*n*) in the lines.
  public func first(named name: Span<UInt8>, in bytes: Span<UInt8>) -> FieldLine? {
    let known = FieldName(name)
    for line in self where line.name == known {
      if known != .other { return line }
      if equalIgnoringCase(bytes.extracting(line.nameRange.range), name) { return line }
    }
    return nil
  }

  /// Whether both have the same lines; what is behind them does not count.
  public static func == (left: FieldLines, right: FieldLines) -> Bool { left.elementsEqual(right) }

  /// Hashes the lines.
  public func hash(into hasher: inout Hasher) {
    for line in self { hasher.combine(line) }
  }
}
