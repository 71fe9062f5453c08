import MartletBytes
import RESP
import Testing

@Suite("Answers of Redis")
struct RedisReplyTests {
  @Test(
    "an answer is read when all of it is there, and nothing behind it",
    arguments: [
      ("+OK\r\n", RedisReply.status("OK")), ("-ERR no\r\n", .error("ERR no")),
      (":17\r\n", .number(17)), ("$-1\r\n", .bytes(nil)), ("$0\r\n\r\n", .bytes([])),
      ("$4\r\na\r\nb\r\n", .bytes(Array("a\r\nb".utf8))),
    ]
  )
  func reads(text: String, reply: RedisReply) throws {
    let bytes = Array(text.utf8)
    for count in 0..<bytes.count {
      let early = try RedisReply.read(Array(bytes[..<count]).span)
      #expect(early == nil, "\(count) bytes")
    }
    let whole = try #require(try RedisReply.read((bytes + [0x2B]).span))
    #expect(whole.reply == reply)
    #expect(whole.count == bytes.count)
  }

  @Test(
    "what is not in form is refused",
    arguments: [
      "*1\r\n", "$x\r\n", "$-2\r\n", ":1x\r\n", "+OK\n", "\n", "$1\r\nabc", "HTTP/1.1\r\n",
    ]
  )
  func refuses(text: String) {
    #expect(throws: RedisReply.Fault.malformed) { try RedisReply.read(Array(text.utf8).span) }
  }

  @Test("a value may be as long as the limit, and not a byte longer")
  func limit() throws {
    let most = RedisReply.valueByteLimit
    let early = try RedisReply.read(Array("$\(most)\r\n".utf8).span)
    #expect(early == nil)
    #expect(throws: RedisReply.Fault.tooLong) {
      try RedisReply.read(Array("$\(most + 1)\r\n".utf8).span)
    }
    let line = [UInt8](repeating: 0x2B, count: RedisReply.lineByteLimit + 1)
    #expect(throws: RedisReply.Fault.tooLong) { try RedisReply.read(line.span) }
  }
}
