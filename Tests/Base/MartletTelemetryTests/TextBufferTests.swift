import MartletTelemetry
import Testing

/// What `write` writes, as a string.
func written(_ write: (inout TextBuffer) -> Void) -> String {
  var buffer = TextBuffer(capacity: 0)
  write(&buffer)
  return String(decoding: array(buffer.bytes), as: UTF8.self)
}

/// What a buffer holds, as a string.
func string(_ buffer: borrowing TextBuffer) -> String {
  String(decoding: array(buffer.bytes), as: UTF8.self)
}

/// A copy of a span's bytes.
func array(_ span: Span<UInt8>) -> [UInt8] {
  var bytes: [UInt8] = []
  for index in span.indices { bytes.append(span[index]) }
  return bytes
}

@Suite("Text buffer")
struct TextBufferTests {
  @Test(
    "writes a number as its digits",
    arguments: [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345, 4_294_967_295]
      + (1...19).flatMap { power -> [UInt64] in
        let ten = (0..<power).reduce(UInt64(1)) { number, _ in number * 10 }
        return [ten - 1, ten, ten + 1]
      } + [UInt64.max]
  )
  func decimals(number: UInt64) {
    #expect(written { $0.append(decimal: number) } == "\(number)")
    let signed = Int64(truncatingIfNeeded: number)
    #expect(written { $0.append(decimal: signed) } == "\(signed)")
  }

  @Test("writes sixteen hexadecimal digits", arguments: 0..<64)
  func hexadecimals(shift: UInt64) {
    for number in [1 << shift, 0x0123_4567_89AB_CDEF &* (shift | 1), UInt64.max >> shift] {
      let digits = String(number, radix: 16)
      let padded = String(repeating: "0", count: 16 - digits.count) + digits
      #expect(written { $0.append(hex: number) } == padded)
    }
  }

  @Test(
    "writes nanoseconds as seconds with six places",
    arguments: [
      (0, "0.000000"), (999, "0.000000"), (1000, "0.000001"), (1_234_567, "0.001234"),
      (999_999_999, "0.999999"), (1_000_000_000, "1.000000"), (61_050_000_000, "61.050000"),
      (UInt64.max, "18446744073.709551"),
    ]
  )
  func seconds(nanoseconds: UInt64, text: String) {
    #expect(written { $0.append(seconds: nanoseconds) } == text)
  }

  @Test("keeps what it holds while it grows")
  func grows() {
    var buffer = TextBuffer(capacity: 0)
    var expected: [UInt8] = []
    for step in 0..<2000 {
      let bytes = Array("\(step),".utf8)
      buffer.append(bytes.span)
      expected += bytes
    }
    let same = array(buffer.bytes) == expected
    #expect(same)
    let room = buffer.capacity
    buffer.truncate(to: 0)
    let (isEmpty, kept) = (buffer.isEmpty, buffer.capacity)
    #expect(isEmpty)
    #expect(kept == room)
  }

  @Test(
    "writes an address as RFC 5952 has it",
    arguments: [
      (0, 0xFFFF_C000_0201, "192.0.2.1"),
      (0, 0xFFFF_0000_0000, "0.0.0.0"),
      (0, 0, "unix:"),
      (0, 1, "::1"),
      (0x2001_0DB8_0000_0000, 0, "2001:db8::"),
      (0x2001_0DB8_0000_0000, 0x0000_0000_0000_0001, "2001:db8::1"),
      (0x2001_0DB8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
      (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
      (0x2001_0DB8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
      (0x0123_4567_89AB_CDEF, 0x0123_4567_89AB_CDEF, "123:4567:89ab:cdef:123:4567:89ab:cdef"),
      (0, 0x0001_0000_0000_0000, "::1:0:0:0"),
    ] as [(UInt64, UInt64, String)]
  )
  func addresses(high: UInt64, low: UInt64, text: String) {
    #expect(written { $0.append(address: (high, low)) } == text)
  }
}
