public import MartletSystem

/// What an edge process remembers for the one that comes after it, be it after an upgrade or a crash.
///
/// It is a file without a name that the supervisor makes, keeps open and gives to each edge; the
/// supervisor never reads it, for what an edge writes may come from strangers. An edge has no right to
/// write a file of the state directory, and a message in the channel could be cut in two by an upgrade.
///
/// The file holds named parts, each as a whole. What was written last counts; what was cut, because the
/// process ended meanwhile, or is not in form, counts as nothing.
///
/// ```
///   "MHMEM001" | length (8) | checksum (8) | parts …      part: name, bytes, each behind its length (4)
/// ```
public final class EdgeMemory {
  /// The number under which an edge finds the file.
  public static let descriptor: Int32 = 4
  /// The size of the file in bytes; memory is taken only for what is written.
  public static let byteCount = 4 << 20
  /// The most parts.
  public static let partCount = 16

  private static let fileName = "martlet-edge-memory"
  private static let magic = Array("MHMEM001".utf8)
  private static let headBytes = 24
  private static let readCount = 3

  private let file: OpenFile
  private var parts: [(name: String, bytes: [UInt8])] = []

  /// Makes the file.
  ///
  /// - Throws: ``SystemError`` when the machine has no memory or no descriptor for it.
  public static func makeFile() throws(SystemError) -> OpenFile {
    OpenFile(try Descriptor.sealedMemoryFile(fileName, byteCount: byteCount))
  }

  /// Takes over the file that the supervisor has given to this process; nil if it gave none.
  public static func inherited() -> EdgeMemory? {
    do throws(SystemError) {
      let target = try Files.target(of: "/proc/self/fd/\(descriptor)")
      guard target.contains(fileName) else { return nil }
      return EdgeMemory(OpenFile(adopting: descriptor))
    } catch {
      return nil
    }
  }

  /// Reads what the file holds.
  public init(_ file: OpenFile) {
    self.file = file
    // The process before may be writing just now: what does not fit together is read again.
    for _ in 0..<Self.readCount {
      if let parts = Self.parts(in: file) {
        self.parts = parts
        return
      }
    }
  }

  private static func parts(in file: OpenFile) -> [(name: String, bytes: [UInt8])]? {
    do throws(SystemError) {
      let head = try file.descriptor.read(upTo: headBytes, at: 0)
      guard head.count == headBytes, head.starts(with: magic) else { return nil }
      let length = number(head[8..<16])
      guard length <= UInt64(byteCount - headBytes) else { return nil }
      let body = try file.descriptor.read(upTo: Int(length), at: headBytes)
      guard body.count == Int(length), checksum(body) == number(head[16..<24]) else { return nil }
      return parts(of: body)
    } catch {
      // What cannot be read is as if it had not been written.
      return nil
    }
  }

  /// What stands under a name; nil if nothing does.
  public func bytes(of name: String) -> [UInt8]? { parts.first { $0.name == name }?.bytes }

  /// Puts bytes in place of what stands under a name.
  ///
  /// - Returns: Whether there was room for it.
  @discardableResult
  public func store(_ bytes: [UInt8], as name: String) -> Bool {
    var next = parts.filter { $0.name != name }
    next.append((name, bytes))
    guard next.count <= Self.partCount else { return false }
    var body: [UInt8] = []
    for part in next {
      for run in [Array(part.name.utf8), part.bytes] {
        body += Self.bytes(of: UInt64(run.count)).suffix(4) + run
      }
    }
    guard body.count <= Self.byteCount - Self.headBytes else { return false }
    let head =
      Self.magic + Self.bytes(of: UInt64(body.count)) + Self.bytes(of: Self.checksum(body))
    do throws(SystemError) {
      guard try file.descriptor.write(head + body, at: 0) == head.count + body.count else {
        return false
      }
    } catch {
      return false
    }
    parts = next
    return true
  }

  // MARK: The form

  private static func parts(of body: [UInt8]) -> [(name: String, bytes: [UInt8])]? {
    var runs: [ArraySlice<UInt8>] = []
    var rest = body[...]
    while !rest.isEmpty {
      guard rest.count >= 4, runs.count < 2 * partCount else { return nil }
      let count = Int(number(rest.prefix(4)))
      rest = rest.dropFirst(4)
      guard rest.count >= count else { return nil }
      runs.append(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    guard runs.count % 2 == 0 else { return nil }
    return stride(from: 0, to: runs.count, by: 2).map { index in
      (String(decoding: runs[index], as: UTF8.self), Array(runs[index + 1]))
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func bytes(of number: UInt64) -> [UInt8] {
    stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
  }

  /// FNV-1a: it finds what was cut, and is no proof against anybody.
  private static func checksum(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
