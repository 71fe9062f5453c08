/// What the generator reads of a response's head: enough to know that the answer is whole and good.
struct ResponseHead {
  /// The three digits of the status line.
  var status = 0
  /// Bytes of the head with its empty line.
  var headBytes = 0
  /// Bytes of the body; -1 where the head does not say: the benchmark's upstream always does.
  var bodyBytes = -1
  /// Whether the server will close the connection after the body.
  var closes = false

  /// Reads a head, or nothing while its end has not come.
  ///
  /// Walks line by line and looks at a line only where its length and first letter fit, because the
  /// generator shares its core with the upstream server.
  static func parse(_ bytes: UnsafeRawBufferPointer) -> ResponseHead? {
    var head = ResponseHead()
    var start = 0
    while let end = lineFeed(in: bytes, from: start) {
      let length = end - start - (end > start && bytes[end - 1] == 13 ? 1 : 0)
      if length == 0 {
        head.headBytes = end + 1
        return head
      }
      head.read(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]), first: start == 0)
      start = end + 1
    }
    return nil
  }

  private mutating func read(_ line: UnsafeRawBufferPointer, first: Bool) {
    if first {
      guard line.count >= 12 else { return }
      status = Self.number(line[9..<12]) ?? 0
      closes = line[7] == UInt8(ascii: "0")
    } else if Self.hasName("content-length:", line) {
      bodyBytes = Self.number(line[15...].drop { $0 == 32 }) ?? -1
    } else if Self.hasName("connection:", line) {
      let value = UnsafeRawBufferPointer(rebasing: line[11...].drop { $0 == 32 })
      closes = Self.hasName("close", value)
    }
  }

  private static func lineFeed(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    var index = start
    while index < bytes.count {
      if bytes[index] == 10 { return index }
      index += 1
    }
    return nil
  }

  private static func hasName(_ name: StaticString, _ line: UnsafeRawBufferPointer) -> Bool {
    let count = name.utf8CodeUnitCount
    guard line.count >= count else { return false }
    for index in 0..<count where line[index] | 0x20 != name.utf8Start[index] | 0x20 {
      return false
    }
    return true
  }

  private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int? {
    var value = 0
    for byte in digits {
      guard byte >= 48, byte <= 57, value < 1 << 50 else { return nil }
      value = value * 10 + Int(byte - 48)
    }
    return digits.isEmpty ? nil : value
  }
}
