import GatewayProtocols
import Testing

@Suite("What applications of FastCGI say of themselves")
struct FastCGIValuesTests {
  private func pairs(_ pairs: [(String, String)]) -> [UInt8] {
    pairs.flatMap { name, value in
      [UInt8(name.utf8.count), UInt8(value.utf8.count)] + Array(name.utf8) + Array(value.utf8)
    }
  }

  private func values(_ bytes: [UInt8]) throws -> FastCGIValues {
    try FastCGIValues(bytes.span)
  }

  @Test("is asked for as the specification draws it")
  func question() {
    let names = Array("FCGI_MPXS_CONNS".utf8) + [13, 0] + Array("FCGI_MAX_REQS".utf8)
    #expect(FastCGIValues.question == [1, 9, 0, 0, 0, 32, 0, 0, 15, 0] + names)
  }

  @Test("is read, and what else is said is passed over")
  func read() throws {
    let php = pairs([("FCGI_MAX_CONNS", "1"), ("FCGI_MAX_REQS", "1"), ("FCGI_MPXS_CONNS", "0")])
    let told = try values(php)
    #expect(!told.multiplexes && told.requestLimit == 1)
    let go = try values(pairs([("FCGI_MPXS_CONNS", "1")]))
    #expect(go.multiplexes && go.requestLimit == nil)
    #expect(try values([]) == FastCGIValues())
    for (value, limit) in [("4294967295", 4_294_967_295), ("4294967296", nil), ("-1", nil)] {
      #expect(try values(pairs([("FCGI_MAX_REQS", value)])).requestLimit == limit)
    }
    for value in ["", "2", "11", "yes"] {
      #expect(try !values(pairs([("FCGI_MPXS_CONNS", value)])).multiplexes)
    }
  }

  @Test("is refused where it is cut short")
  func short() throws {
    let whole = pairs([("FCGI_MPXS_CONNS", "1"), ("A", "")])
    for count in 1..<whole.count where count != 18 {
      #expect(throws: GatewayFault.fieldLine) { try values(Array(whole[..<count])) }
    }
    for bytes: [UInt8] in [[0x80], [0x80, 0, 0], [1, 0x80], [0xFF, 0xFF, 0xFF, 0xFF, 1, 65]] {
      #expect(throws: GatewayFault.fieldLine) { try values(bytes) }
    }
  }
}

@Suite("Answers that share a connection")
struct SharedAnswerTests {
  private func record(_ kind: FastCGIRecord.Kind, _ text: String, _ number: UInt16) -> [UInt8] {
    Records.record(kind, Array(text.utf8), request: number, padding: Int(number))
  }

  /// Reads what comes in these pieces as the answers to the requests 1 and 2.
  private func read(_ pieces: [[UInt8]], by step: Int) throws -> [Read] {
    var decoder = FastCGIDecoder()
    var answers = [GatewayAnswer(.fastCGI), GatewayAnswer(.fastCGI)]
    var reads = [Read(), Read()]
    for index in answers.indices { answers[index].begin(isHead: false) }
    for piece in pieces {
      var offset = 0
      taking: while true {
        let event = try decoder.next(in: piece.span, at: &offset)
        switch event {
        case .needsBytes: break taking
        case .output(_, let number), .errorOutput(_, let number), .end(let number, _):
          try answers[Int(number) - 1].receive(event, of: piece.span)
        case .values, .unknownKind: break
        }
      }
      for index in answers.indices {
        answers[index].settle()
        _ = answers[index].read(upTo: step) { span in
          for place in span.indices { reads[index].text.append(span[place]) }
        }
        if let said = answers[index].takeSaid() { reads[index].said += said }
      }
    }
    for index in answers.indices {
      let count = answers[index].outputCount
      #expect(
        answers[index].read(upTo: .max) { span in
          for place in span.indices { reads[index].text.append(span[place]) }
        } == count
      )
      reads[index].hasEnded = answers[index].hasEnded
    }
    return reads
  }

  private func end(_ number: UInt16) -> [UInt8] {
    Records.record(.endRequest, [0, 0, 0, 0, 0, 0, 0, 0], request: number)
  }

  @Test(
    "are each what they would be alone, however they are split and read",
    arguments: [1, 7, 999]
  )
  func splits(step: Int) throws {
    let bytes =
      record(.standardOutput, "A: one\r\nContent-", 1) + record(.standardOutput, "A: two\n", 2)
      + record(.standardError, "said", 2) + record(.standardOutput, "Length: 3\r\n\r\none", 1)
      + record(.standardOutput, "Content-Length: 6\n\nsec", 2) + end(1)
      + record(.standardOutput, "ond", 2) + end(2)
    let expected = [
      "A: one\r\nContent-Length: 3\r\n\r\none", "A: two\r\nContent-Length: 6\r\n\r\nsecond",
    ]
    func check(_ pieces: [[UInt8]], _ place: Int) throws {
      let reads = try read(pieces, by: step)
      let texts = reads.map { String(decoding: $0.text, as: UTF8.self) }
      #expect(texts.map { $0.drop { $0 != "A" } } == expected.map { $0[...] }, "\(place)")
      #expect(reads.allSatisfy { $0.hasEnded } && reads[0].said.isEmpty, "\(place)")
      #expect(reads[1].said == Array("said".utf8), "\(place)")
    }
    for cut in 0...bytes.count { try check([Array(bytes[..<cut]), Array(bytes[cut...])], cut) }
    try check(bytes.map { [$0] }, -1)
  }

  @Test("end one without the other")
  func faults() throws {
    let bytes = record(.standardOutput, "no field\n", 1)
    #expect(throws: GatewayFault.fieldLine) {
      try read([bytes + record(.standardOutput, "\n", 1)], by: 9)
    }
    #expect(throws: GatewayFault.noField) { try read([end(2)], by: 9) }
    let again = record(.standardOutput, "A: b\n\n", 1) + end(1)
    #expect(throws: GatewayFault.recordAfterEnd) { try read([again + end(1)], by: 9) }
  }
}
