import Applications
import Testing

@Suite("Answers of workers")
struct WorkerAnswerTests {
  private func answer(_ kind: UInt8, _ number: UInt8, head: String, content: String) -> [UInt8] {
    var bytes: [UInt8] = [kind, 1, 0, 0]
    for count in [head.utf8.count, content.utf8.count] {
      bytes += (0..<4).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) }
    }
    bytes += [number, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]
    return bytes + head.utf8 + content.utf8
  }

  @Test("a message holds one or several, each with its head and content")
  func several() {
    let parts = [
      answer(1, 1, head: "200 OK\r\n", content: "hello"),
      answer(4, 2, head: "", content: ""),
      answer(2, 3, head: "404 Not Found\r\nA: b\r\n", content: ""),
    ]
    let bytes = Array(parts.joined())
    var start = 0
    var texts: [String] = []
    while start < bytes.count {
      guard let answer = WorkerAnswer(bytes.span, at: start) else {
        Issue.record("none at \(start)")
        return
      }
      #expect(answer.hasLength)
      #expect(answer.applicationTime == 7000)
      let content = String(decoding: bytes[answer.content], as: UTF8.self)
      texts.append("\(answer.kind) \(answer.number) \(answer.head.count) \(content)")
      start = answer.content.upperBound
    }
    #expect(start == bytes.count)
    #expect(texts == ["whole 1 8 hello", "end 2 0 ", "head 3 21 "])
  }

  @Test("what is cut off, or no answer, is none")
  func refused() {
    let whole = answer(1, 1, head: "200 OK\r\n", content: "hello")
    for count in whole.indices {
      let part = WorkerAnswer(Array(whole[..<count]).span)
      #expect(part == nil, "\(count) bytes")
    }
    let unknown = WorkerAnswer(answer(9, 1, head: "", content: "").span)
    #expect(unknown == nil)
    var long = whole
    for index in 4..<12 { long[index] = 0xFF }
    let tooLong = WorkerAnswer(long.span)
    #expect(tooLong == nil)
  }
}
