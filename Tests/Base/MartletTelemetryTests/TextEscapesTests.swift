import Foundation
import MartletTelemetry
import Testing

/// The string that a JSON reader finds in what is written.
private func parsedBack(_ bytes: [UInt8]) throws -> String {
  let line = written { $0.append(json: bytes.span) }
  let value = try JSONSerialization.jsonObject(with: Data(line.utf8), options: .fragmentsAllowed)
  return try #require(value as? String)
}

@Suite("Escapes")
struct TextEscapesTests {
  @Test("a JSON reader gets every text back", arguments: 0..<64)
  func roundTrip(length: Int) throws {
    for special in ["", "\"", "\\", "\n", "\u{0}", "\u{7F}", "é", "\u{85}", "€", "\u{2028}", "🦆"] {
      for position in Set([0, length / 2, length]) {
        let plain = Array(repeating: "a", count: length)
        let text = (plain[..<position] + [special] + plain[position...]).joined()
        #expect(try parsedBack(Array(text.utf8)) == text)
      }
    }
  }

  @Test("what is not UTF-8 becomes the replacement character, as String decodes it")
  func invalid() throws {
    var generator = SystemRandomNumberGenerator()
    let pieces: [[UInt8]] = [
      [0x61], [0xC3, 0xA9], [0xC3], [0xE2, 0x82, 0xAC], [0xE2, 0x82], [0xF0, 0x9F, 0xA6, 0x86],
      [0xF0, 0x9F], [0x80], [0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
      [0xE0, 0x80, 0x80], [0x22], [0x0A],
    ]
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0..<12, using: &generator)).flatMap { _ in
        pieces[Int.random(in: pieces.indices, using: &generator)]
      }
      #expect(try parsedBack(bytes) == String(decoding: bytes, as: UTF8.self), "\(bytes)")
    }
  }

  @Test(
    "no byte can break out of its quotes, its line or its log",
    arguments: UInt8.min...UInt8.max
  )
  func hostile(byte: UInt8) throws {
    for padding in [0, 3, 7, 8, 9, 15, 16, 17, 40] {
      let around = [UInt8](repeating: 0x78, count: padding)
      let bytes = around + [byte] + around
      for line in [
        written { $0.append(jsonEscaped: bytes.span) },
        written { $0.append(logEscaped: bytes.span) },
      ] {
        #expect(!line.utf8.contains { $0 < 0x20 || $0 == 0x7F })
        // Each quotation mark stands behind an odd number of backslashes.
        var backslashes = 0
        for letter in line.utf8 {
          if letter == 0x22 { #expect(backslashes % 2 == 1) }
          backslashes = letter == 0x5C ? backslashes + 1 : 0
        }
        #expect(backslashes % 2 == 0)
      }
      let plain = byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C
      let log = written { $0.append(logEscaped: bytes.span) }
      #expect((log.utf8.count == bytes.count) == plain)
      #expect(!log.utf8.contains { $0 > 0x7E })
    }
  }

  @Test(
    "text logs escape with hexadecimal digits",
    arguments: [
      ("a\"b\\c", "a\\\"b\\\\c"), ("a\r\nb", "a\\x0d\\x0ab"), ("é", "\\xc3\\xa9"),
      ("\u{1B}[31m", "\\x1b[31m"),
    ]
  )
  func logEscapes(text: String, expected: String) {
    #expect(written { $0.append(logEscaped: Array(text.utf8).span) } == expected)
  }
}
