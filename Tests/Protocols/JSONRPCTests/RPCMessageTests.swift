import JSON
import JSONRPC
import TestCorpora
import Testing

/// One exchange of the corpus.
struct RPCExchange: CustomStringConvertible, Sendable {
  var request: String
  var answer: String?

  var description: String { request }

  /// All of them.
  static func all() throws -> [RPCExchange] {
    var exchanges: [RPCExchange] = []
    let text = String(decoding: try Corpus.jsonrpc.bytes(of: "exchanges.txt"), as: UTF8.self)
    for line in text.split(separator: "\n") {
      if line.hasPrefix("--> ") {
        exchanges.append(RPCExchange(request: String(line.dropFirst(4))))
      } else if line.hasPrefix("<-- ") {
        exchanges[exchanges.count - 1].answer = String(line.dropFirst(4))
      }
    }
    return exchanges
  }
}

@Suite("JSON-RPC 2.0")
struct RPCMessageTests {
  private static let any = RPCType.number(-1000...1000)
  static let table = MethodTable([
    RPCMethod(
      "subtract",
      "Subtracts.",
      [RPCParameter("minuend", any, "From this."), RPCParameter("subtrahend", any, "This.")],
      result: any,
      errors: [RPCError(-1, "overflow")]
    ),
    RPCMethod(
      "sum",
      "Adds.",
      ["a", "b", "c"].map { RPCParameter($0, any, isOptional: true, "One.") }
    ),
    RPCMethod("get_data", "Gives something."),
    RPCMethod("update", "Tells.", (1...5).map { RPCParameter("v\($0)", any, "One.") }),
    RPCMethod("notify_sum", "Tells.", ["a", "b", "c"].map { RPCParameter($0, any, "One.") }),
    RPCMethod("notify_hello", "Tells.", [RPCParameter("a", any, "One.")]),
  ])

  static func answer(_ bytes: some Collection<UInt8>) async -> JSONValue? {
    await RPCMessage(bytes).answer { call throws(RPCError) in
      let arguments = try table.arguments(of: call)
      switch call.method {
      case "subtract":
        return .number((arguments.number("minuend") ?? 0) - (arguments.number("subtrahend") ?? 0))
      case "sum": return .number(["a", "b", "c"].reduce(0) { $0 + (arguments.number($1) ?? 0) })
      case "get_data": return .list([.text("hello"), .number(5)])
      default: return .null
      }
    }
  }

  /// The answer with `…` for messages that the corpus does not tell.
  private func masked(_ value: JSONValue, like model: JSONValue) -> JSONValue {
    switch (value, model) {
    case (.text, .text("…")): model
    case (.list(let values), .list(let models)) where values.count == models.count:
      .list(zip(values, models).map { masked($0, like: $1) })
    case (.object(let values), .object(let models)) where values.count == models.count:
      .object(
        zip(values, models).map { JSONValue.Member($0.name, masked($0.value, like: $1.value)) }
      )
    default: value
    }
  }

  @Test("answers as the corpus says", arguments: try RPCExchange.all())
  func corpus(exchange: RPCExchange) async throws {
    let answer = await Self.answer(exchange.request.utf8)
    guard let text = exchange.answer else {
      #expect(answer == nil)
      return
    }
    let model = try JSONValue(parsing: text.utf8)
    #expect(masked(try #require(answer), like: model) == model)
  }

  @Test("a batch has at most so many calls")
  func batchLimit() async throws {
    func batch(_ count: Int) -> String {
      let call = RPCCall(id: .number(1), "get_data").json.compact
      return "[" + Array(repeating: call, count: count).joined(separator: ",") + "]"
    }
    #expect(await Self.answer(batch(100).utf8)?.list?.count == 100)
    let refused = try #require(await Self.answer(batch(101).utf8))
    #expect(refused["error"]?["code"] == .number(RPCError.invalidRequest))
    #expect(refused["id"] == .null)
  }

  @Test("nesting, length and names have bounds")
  func bounds() async {
    let long = String(repeating: "a", count: 257)
    for (text, code) in [
      (String(repeating: "[", count: 100_000), RPCError.parseError),
      (String(repeating: "{\"a\":", count: 100_000), RPCError.parseError),
      ("\"" + String(repeating: "a", count: 1 << 20) + "\"", RPCError.parseError),
      (RPCCall(id: .number(1), long).json.compact, RPCError.invalidRequest),
      (RPCCall(id: .text(long), "a").json.compact, RPCError.invalidRequest),
    ] {
      let answer = await Self.answer(text.utf8)
      #expect(answer?["error"]?["code"]?.number == code, "\(text.prefix(10))")
    }
  }

  @Test(
    "what answers is itself JSON on one line, whatever was sent",
    arguments: 0..<1000 as Range<UInt64>
  )
  func randomBytes(seed: UInt64) async throws {
    var random = SeededRandom(seed)
    let exchanges = try RPCExchange.all()
    var bytes = Array(try #require(exchanges.randomElement(using: &random)).request.utf8)
    for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[place] = .random(in: 0...255, using: &random)
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(bytes.randomElement(using: &random) ?? 0, at: place)
      default: bytes.removeLast(bytes.count - place)
      }
    }
    guard let answer = await Self.answer(bytes) else { return }
    let text = answer.compact
    #expect(!text.utf8.contains(0x0A))
    let answers = answer.list ?? [answer]
    #expect(!answers.isEmpty)
    for answer in answers { #expect(RPCResponse(answer)?.json == answer) }
  }

  @Test("a call and an answer are read as they were written")
  func roundTrip() throws {
    let call = RPCCall(id: .text("a"), "subtract", .list([.number(1), .number(2)]))
    #expect(RPCMessage(call.json.compact.utf8).items == [.call(call)])
    let error = RPCError(-5, "no", details: .number(3))
    for response in [
      RPCResponse(id: .null, .failure(error)), RPCResponse(id: .number(1), .success(.null)),
    ] {
      #expect(RPCResponse(response.json) == response)
    }
    #expect(RPCResponse(.object(["jsonrpc": .text("2.0"), "id": .null])) == nil)
  }

  @Test("describes every method, its parameters in order, and its errors")
  func discovery() throws {
    let document = Self.table.description(title: "Test", version: "1")
    #expect(document["openrpc"]?.text == "1.3.2")
    #expect(document["info"]?["version"]?.text == "1")
    let methods = try #require(document["methods"]?.list)
    #expect(methods.compactMap { $0["name"]?.text } == Self.table.methods.map(\.name))
    #expect(methods.last?["name"]?.text == "rpc.discover")
    let first = methods[0]
    #expect(first["params"]?.list?.compactMap { $0["name"]?.text } == ["minuend", "subtrahend"])
    #expect(first["params"]?.list?[0]["schema"]?["type"]?.text == "integer")
    #expect(first["errors"]?.list?[0]["message"]?.text == "overflow")
  }
}

@Suite("Values of parameters")
struct RPCTypeTests {
  @Test(
    "says what is wrong with a value",
    arguments: [
      (RPCType.flag, JSONValue.number(1), "is true or false"),
      (.number(1...3), .number(4), "is a whole number from 1 to 3"),
      (.number(1...3), .real(1.5), "is a whole number from 1 to 3"),
      (.text(maxBytes: 2), .text("é1"), "has at most 2 bytes"),
      (.text(maxBytes: 2), .null, "is a text"),
      (.word(["a", "b"]), .text("c"), "is one of `a`, `b`"),
      (.list(.flag, maxCount: 1), .list([.flag(true), .flag(true)]), "has at most 1 values"),
      (.list(.flag, maxCount: 1), .list([.null]), "has a value that is true or false"),
      (.object([RPCParameter("a", .flag, "One.")]), .object([]), "is an object: `a` is missing"),
    ]
  )
  func problems(type: RPCType, value: JSONValue, problem: String) {
    #expect(type.problem(with: value) == problem)
  }

  @Test(
    "finds nothing wrong with a value of its own",
    arguments: [
      (RPCType.flag, JSONValue.flag(false)), (.number(1...3), .number(3)),
      (.text(maxBytes: 2), .text("é")),
      (.word(["a"]), .text("a")), (.list(.flag, maxCount: 1), .list([.flag(true)])),
      (.any, .real(1)),
      (.object([RPCParameter("a", .flag, isOptional: true, "One.")]), .object([])),
    ]
  )
  func fine(type: RPCType, value: JSONValue) { #expect(type.problem(with: value) == nil) }
}

@Suite("Messages as lines")
struct MessageLinesTests {
  private func lines(
    _ parts: [[UInt8]],
    limit: Int = 1 << 20
  ) throws(MessageLines.Failure) -> [[UInt8]] {
    var reader = MessageLines(byteLimit: limit)
    var lines: [[UInt8]] = []
    for part in parts {
      reader.receive(part.span)
      while let line = try reader.next() { lines.append(line) }
    }
    return lines
  }

  @Test("gives the same messages however the bytes are split")
  func splits() throws {
    let bytes = Array("{\"a\":1}\r\n\n[2]\n\r\nlast one\nwithout an end".utf8)
    let whole = try lines([bytes])
    #expect(whole.map { String(decoding: $0, as: UTF8.self) } == ["{\"a\":1}", "[2]", "last one"])
    for first in 0...bytes.count {
      for second in first...bytes.count {
        let parts = [bytes[..<first], bytes[first..<second], bytes[second...]].map(Array.init)
        #expect(try lines(parts) == whole, "cut at \(first) and \(second)")
      }
    }
  }

  @Test("a line may be as long as the limit, and no longer", arguments: ["\n", "\r\n"])
  func limit(end: String) throws {
    #expect(try lines([Array(("12345" + end).utf8)], limit: 5) == [Array("12345".utf8)])
    #expect(throws: MessageLines.Failure.tooLong) {
      try lines([Array(("123456" + end).utf8)], limit: 5)
    }
  }

  @Test("a line that is too long is refused before its end comes")
  func early() {
    #expect(throws: MessageLines.Failure.tooLong) { try lines([Array("1234567".utf8)], limit: 5) }
  }

  @Test("knows whether a message has begun")
  func within() throws {
    var reader = MessageLines()
    #expect(!reader.isWithinMessage)
    reader.receive(Array("12".utf8).span)
    #expect(reader.isWithinMessage)
    reader.receive([0x0A].span)
    #expect(try reader.next() == Array("12".utf8))
    #expect(!reader.isWithinMessage)
  }
}

/// Numbers that are the same in each run.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x2545_F491_4F6C_DD1D }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
