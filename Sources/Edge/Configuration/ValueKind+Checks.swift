import Directives

extension ValueKind where Value == StatusRange {
  /// A status, several, or all of a class: `200`, `200-299`, `2xx`.
  static var statuses: ValueKind {
    ValueKind(
      "STATUS",
      bounds: "100 to 599",
      read: { text throws(ValueError) in
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        if text.utf8.count == 3, text.hasSuffix("xx"), let digit = UInt16(text.prefix(1)),
          (1...5).contains(digit)
        {
          return StatusRange(digit * 100...digit * 100 + 99)
        }
        let numbers = parts.compactMap { UInt16($0) }
        guard numbers.count == parts.count, numbers.allSatisfy({ 100...599 ~= $0 }) else {
          throw ValueError("`\(text)` is no status", mend: "200-299")
        }
        let (first, last) = (numbers[0], numbers[numbers.count - 1])
        guard first <= last else {
          throw ValueError("`\(text)` is empty", mend: "\(last)-\(first)")
        }
        return StatusRange(first...last)
      },
      write: { range in
        let (first, last) = (range.bounds.lowerBound, range.bounds.upperBound)
        return first == last ? "\(first)" : "\(first)-\(last)"
      }
    )
  }
}

extension ValueKind where Value == Int {
  /// A number with up to three decimals, in thousandths.
  static func decimal(within bounds: ClosedRange<Int>) -> ValueKind {
    @Sendable func written(_ value: Int) -> String {
      let fraction = String(value % 1000 + 1000).dropFirst()
      let digits = fraction.reversed().drop { $0 == "0" }.reversed()
      return digits.isEmpty ? "\(value / 1000)" : "\(value / 1000).\(String(digits))"
    }
    return ValueKind(
      "DECIMAL",
      bounds: "\(written(bounds.lowerBound)) to \(written(bounds.upperBound))",
      read: { text throws(ValueError) in
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? String(parts[1]) : "0"
        let isWritten = parts.joined().utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isWritten, (1...3).contains(fraction.utf8.count), parts[0].utf8.count <= 6,
          let whole = Int(parts[0]), let rest = Int((fraction + "00").prefix(3))
        else { throw ValueError("`\(text)` is no number with up to three decimals", mend: "1.9") }
        let value = whole * 1000 + rest
        guard bounds.contains(value) else {
          let nearest = value < bounds.lowerBound ? bounds.lowerBound : bounds.upperBound
          throw ValueError(
            "`\(text)` is not within \(written(bounds.lowerBound)) and \(written(bounds.upperBound))",
            mend: written(nearest)
          )
        }
        return value
      },
      write: written
    )
  }
}

extension ValueKind where Value == [UInt8] {
  /// Bytes that are sent: a text, or `hex:` and pairs of digits.
  static var payload: ValueKind {
    ValueKind(
      "TEXT|hex:DIGITS",
      bounds: "1 to 1400 bytes",
      read: { text throws(ValueError) in
        guard text.hasPrefix("hex:") else { return try bounded(Array(text.utf8)) }
        let digits = Array(text.utf8.dropFirst(4))
        let bytes = stride(from: 0, to: digits.count, by: 2).map { start in
          UInt8(
            String(decoding: digits[start..<min(start + 2, digits.count)], as: UTF8.self),
            radix: 16
          )
        }
        let known = bytes.compactMap { $0 }
        guard digits.count % 2 == 0, known.count == bytes.count else {
          throw ValueError("`hex:` is followed by pairs of digits", mend: "hex:0d0a")
        }
        return try bounded(known)
      },
      write: { bytes in
        let isText = bytes.allSatisfy { (0x20...0x7E).contains($0) }
        guard !isText else { return String(decoding: bytes, as: UTF8.self) }
        return "hex:"
          + bytes.map { byte in String(Int(byte) + 0x100, radix: 16).dropFirst() }.joined()
      }
    )
  }

  private static func bounded(_ bytes: [UInt8]) throws(ValueError) -> [UInt8] {
    guard (1...1400).contains(bytes.count) else {
      throw ValueError("1 to 1400 bytes are sent, these are \(bytes.count)")
    }
    return bytes
  }
}

extension ValueKind where Value == IPAddress {
  /// An address without a port.
  static var host: ValueKind {
    ValueKind(
      "IP",
      read: { text throws(ValueError) in
        guard let address = IPAddress(text) else {
          throw ValueError("`\(text)` is no address without a port", mend: "127.0.0.1")
        }
        return address
      },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == String {
  /// A text that is looked for; it may have line ends, and at most 1,024 bytes.
  static var sought: ValueKind {
    ValueKind(
      "TEXT",
      read: { text throws(ValueError) in
        guard (1...1024).contains(text.utf8.count), text.utf8.contains(where: { $0 != 0x2A })
        else { throw ValueError("a text that is looked for has 1 to 1024 bytes besides `*`") }
        return text
      },
      write: { $0 }
    )
  }

  /// The path of a request with its query.
  static var requestPath: ValueKind {
    ValueKind(
      "PATH",
      read: { text throws(ValueError) in
        guard text.hasPrefix("/") else {
          throw ValueError("a path begins with `/`", mend: "/\(text)")
        }
        guard text.utf8.count <= 2048,
          text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x23 })
        else { throw ValueError("`\(text)` is no path of a request") }
        return text
      },
      write: { $0 }
    )
  }

  /// The host of a request, with or without a port.
  static var requestHost: ValueKind {
    ValueKind(
      "HOST",
      read: { text throws(ValueError) in
        let isHost = text.utf8.allSatisfy { byte in
          switch byte {
          case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
          default: ".-_:[]".utf8.contains(byte)
          }
        }
        guard isHost, (1...255).contains(text.utf8.count) else {
          throw ValueError("`\(text)` is not a host", mend: "app.internal")
        }
        return text
      },
      write: { $0 }
    )
  }
}
