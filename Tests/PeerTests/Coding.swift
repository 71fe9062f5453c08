import Compression
import HTTPMessage
import TestPeers
import Testing

/// Bodies in codings, and members that send pages.
enum Coding {
  /// What a coded body stands for.
  static func plain(_ bytes: [UInt8], _ coding: String?, isComplete: Bool = true) throws -> [UInt8]
  {
    let known: [String: ContentCoding] = ["gzip": .gzip, "br": .brotli, "zstd": .zstandard]
    guard let coding else { return bytes }
    let decoder = try #require(known[coding].flatMap { Decoder($0) })
    try decoder.begin()
    var block = CodedBlock(capacity: 65_536)
    var all: [UInt8] = []
    var offset = 0
    while try !decoder.decode(bytes.span, from: &offset, isComplete ? .end : .more, into: &block) {
      all += block.bytes
      block.removeAll()
    }
    return all + block.bytes
  }

  /// A member whose answers a test makes of the requests that it gets.
  static func origin(
    _ rig: Rig,
    _ answer: @escaping @Sendable (Request) throws -> String
  ) throws -> ScriptedMember {
    try rig.member { wire in
      while let request = try wire.receiveRequest() { try wire.send(text: try answer(request)) }
    }
  }

  static func page(_ count: Int) -> String {
    var text = "<!doctype html>\n"
    var number = 0
    while text.utf8.count < count {
      number &+= 7919
      text += "<p class=\"item\">Number \(number % 100_003)</p>\n"
    }
    return String(text.prefix(count))
  }

  static func ok(_ fields: String, _ body: String) -> String {
    "HTTP/1.1 200 OK\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  /// A body in a coding.
  static func coded(_ text: String, _ coding: ContentCoding) throws -> [UInt8] {
    let encoder = try #require(Encoder(coding, level: 3, window: .large))
    try encoder.begin(length: nil)
    var block = CodedBlock(capacity: 65_536)
    var all: [UInt8] = []
    var offset = 0
    let bytes = Array(text.utf8)
    while try !encoder.encode(bytes.span, from: &offset, .end, into: &block) {
      all += block.bytes
      block.removeAll()
    }
    return all + block.bytes
  }
}
