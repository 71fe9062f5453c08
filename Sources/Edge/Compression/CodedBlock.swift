// Invariant of this file: what is written to the free part of the storage is no more than its size, which is
// checked afterwards.

/// Bytes that come out of a coder, up to a fixed number.
public struct CodedBlock: Sendable {
  /// How many bytes a coder may put in.
  public let capacity: Int
  /// How many bytes it holds.
  public private(set) var count = 0
  /// All of its room; the first ``count`` bytes mean something.
  ///
  /// To be sent from where they are.
  public private(set) var storage: [UInt8]

  /// Bytes behind the coder's room, for what frames a block.
  private static let frameBytes = 32

  /// Creates an empty block.
  public init(capacity: Int) {
    precondition(capacity > 0, "a block has room")
    self.capacity = capacity
    storage = [UInt8](repeating: 0, count: capacity + Self.frameBytes)
  }

  /// Whether it holds nothing.
  public var isEmpty: Bool { count == 0 }

  /// How many bytes a coder may still put in.
  public var freeCount: Int { max(0, capacity - count) }

  /// A copy of the bytes it holds.
  public var bytes: [UInt8] { Array(storage[..<count]) }

  /// Copies what there is room for.
  ///
  /// - Returns: How many bytes.
  mutating func take(_ bytes: Span<UInt8>) -> Int {
    let before = count
    let taken = bytes.extracting(0..<min(bytes.count, freeCount))
    // Safe: what is written is bounded by the room.
    unsafe fill { room in
      // Safe: the destination has room for as many, and a span never overlaps memory that is ours alone.
      unsafe taken.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(room).copyMemory(from: source)
        return source.count
      }
    }
    return count - before
  }

  /// Forgets what it holds.
  public mutating func removeAll() { count = 0 }

  /// Appends a few bytes that frame what came out of the coder.
  public mutating func append(_ bytes: Span<UInt8>) {
    precondition(count + bytes.count <= storage.count, "more than frames a block")
    for index in bytes.indices {
      storage[count] = bytes[index]
      count += 1
    }
  }

  /// Has `fill` write to the free part; it says how many bytes it has written.
  mutating func fill(_ fill: (UnsafeMutableBufferPointer<UInt8>) -> Int) {
    let (start, end) = (count, max(count, capacity))
    // Safe: the slice lies in the storage, and lives as long as the call.
    let made = unsafe storage.withUnsafeMutableBufferPointer { storage in
      unsafe fill(UnsafeMutableBufferPointer(rebasing: storage[start..<end]))
    }
    precondition(made >= 0 && made <= end - start, "more bytes than fit")
    count += made
  }
}
