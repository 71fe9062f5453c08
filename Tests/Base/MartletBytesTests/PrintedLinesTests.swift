import MartletBytes
import Testing

@Suite("Printed lines") struct PrintedLinesTests {
  /// The lines of a text that comes in these pieces.
  private func lines(_ pieces: [String], limit: Int = 8) -> [String] {
    var lines = PrintedLines(byteLimit: limit)
    var all: [String] = []
    for piece in pieces {
      lines.receive(Array(piece.utf8).span) { all.append(String(decoding: $0, as: UTF8.self)) }
    }
    lines.end { all.append(String(decoding: $0, as: UTF8.self)) }
    return all
  }

  @Test("end at line ends, with a carriage return or without, and at the end of all")
  func ends() {
    #expect(lines(["one\ntwo\r\n\nthree"]) == ["one", "two", "", "three"])
    #expect(lines(["one\n"]) == ["one"])
    #expect(lines([]) == [])
  }

  @Test("go on as further lines where they are too long, and lose nothing")
  func long() {
    #expect(lines(["12345678\n"]) == ["12345678"])
    #expect(lines(["123456789\n0"]) == ["12345678", "9", "0"])
    #expect(lines([String(repeating: "x", count: 20)]) == ["xxxxxxxx", "xxxxxxxx", "xxxx"])
  }

  @Test("are the same however the pieces come")
  func splits() {
    let text = "12345678\n123456789\r\n\r\n\n1234567\r\nend"
    let whole = lines([text])
    let bytes = text.unicodeScalars.map(String.init)
    #expect(lines(bytes) == whole)
    for cut in 0...bytes.count {
      #expect(lines([bytes[..<cut].joined(), bytes[cut...].joined()]) == whole)
    }
  }
}
