import ACME
import Testing

/// An answer of a name service, written by hand.
private struct Answer {
  var id: UInt16 = 0x1234
  var flags: UInt16 = 0x8180
  var question = name("_acme-challenge.shop.test") + [0, 16, 0, 1]
  var records: [[UInt8]] = []
  var count: Int?

  static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }

  static func number(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 255), UInt8(number & 255)] }

  static func record(_ owner: [UInt8], _ kind: Int, _ content: [UInt8], space: Int = 1) -> [UInt8] {
    owner + number(kind) + number(space) + [0, 0, 0, 60] + number(content.count) + content
  }

  /// A text in parts.
  static func text(_ owner: [UInt8], _ parts: String...) -> [UInt8] {
    record(owner, 16, parts.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) })
  }

  var bytes: [UInt8] {
    Self.number(Int(id)) + Self.number(Int(flags)) + [0, 1] + Self.number(count ?? records.count)
      + [0, 0, 0, 0] + question + records.flatMap(\.self)
  }
}

@Suite("A question for the texts of a name")
struct TextQuestionTests {
  /// Back to the name of the question.
  private static let same: [UInt8] = [0xC0, 12]

  private func question() throws -> TextQuestion {
    try #require(TextQuestion("_acme-challenge.Shop.test", id: 0x1234))
  }

  private func texts(_ texts: String...) -> TextAnswer { .texts(texts.map { Array($0.utf8) }) }

  @Test("is one of the class IN, and wants to be answered wholly")
  func written() throws {
    let head: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    #expect(
      try question().bytes == head + Answer.name("_acme-challenge.shop.test") + [0, 16, 0, 1]
    )
  }

  @Test(
    "is not asked for what is no name",
    arguments: [
      "", ".", "a..b", "a.", String(repeating: "a", count: 64),
      Array(repeating: "abcdefg", count: 32).joined(separator: "."),
    ]
  )
  func noName(name: String) { #expect(TextQuestion(name, id: 1) == nil) }

  @Test("is asked for the longest names")
  func longest() {
    let label = String(repeating: "a", count: 63)
    let most = "\(label).\(label).\(label).\(String(repeating: "b", count: 61))"
    #expect(most.utf8.count == 253)
    #expect(TextQuestion(most, id: 1) != nil)
    #expect(TextQuestion(most + "b", id: 1) == nil)
  }

  @Test("is answered by all texts of the name, their parts together, and by no others")
  func answered() throws {
    var answer = Answer()
    answer.records = [
      Answer.text(Self.same, "one"), Answer.text(Self.same, "t", "w", "o"),
      Answer.text(Answer.name("_ACME-Challenge.shop.TEST"), "three"),
      Answer.text(Answer.name("other.test"), "four"),
      Answer.record(Self.same, 1, [10, 0, 0, 1]),
      Answer.record(Self.same, 16, [4, 0x66, 0x69, 0x76, 0x65], space: 3),
    ]
    #expect(try question().read(answer.bytes) == texts("one", "two", "three"))
    #expect(try question().read(answer.bytes + [1, 2, 3]) == texts("one", "two", "three"))
  }

  @Test("follows names that stand for others, so far and no further")
  func aliases() throws {
    func chain(_ count: Int) -> Answer {
      var answer = Answer()
      let names =
        [Self.same] + (1...count).map { Answer.name("a\($0).test") }
      for (from, to) in zip(names, names.dropFirst()) {
        answer.records.append(Answer.record(from, 5, to))
      }
      answer.records.append(Answer.text(names[count], "there"))
      answer.records.append(Answer.text(Self.same, "here"))
      return answer
    }
    #expect(try question().read(chain(1).bytes) == texts("there"))
    #expect(try question().read(chain(TextQuestion.aliasCount).bytes) == texts("there"))
    #expect(try question().read(chain(TextQuestion.aliasCount + 1).bytes) == texts())
    var circle = Answer()
    circle.records = [
      Answer.record(Self.same, 5, Answer.name("b.test")),
      Answer.record(Answer.name("b.test"), 5, Self.same),
    ]
    #expect(try question().read(circle.bytes) == texts())
  }

  @Test("tells what was cut, is not there, and was refused")
  func codes() throws {
    #expect(try question().read(Answer(flags: 0x8380).bytes) == .cut)
    #expect(try question().read(Answer(flags: 0x8183).bytes) == texts())
    #expect(try question().read(Answer(flags: 0x8182).bytes) == .refused(2))
    #expect(try question().read(Answer(flags: 0x8185).bytes) == .refused(5))
  }

  @Test("takes no answer to another question")
  func others() throws {
    let others = [
      Answer(id: 0x1235), Answer(flags: 0x0180), Answer(flags: 0x9180),
      Answer(question: Answer.name("other.test") + [0, 16, 0, 1]),
      Answer(question: Answer.name("_acme-challenge.shop.test") + [0, 1, 0, 1]),
      Answer(question: Answer.name("_acme-challenge.shop.test") + [0, 16, 0, 3]),
      Answer(question: [0xC0, 12, 0, 16, 0, 1]),
    ]
    for answer in others { #expect(try question().read(answer.bytes) == .other) }
  }

  @Test("refuses what is not in form")
  func malformed() throws {
    func read(_ record: [UInt8]) throws -> TextAnswer {
      try question().read(Answer(records: [record]).bytes)
    }
    // Texts that leave their record, an owner that points to itself or forward, a label of a kind that is none.
    #expect(try read(Answer.record(Self.same, 16, [5, 0x61])) == .malformed)
    let place = Answer().bytes.count
    #expect(try read(Answer.text([0xC0, UInt8(place)], "a")) == .malformed)
    #expect(try read(Answer.text([0xC0, UInt8(place + 2)], "a")) == .malformed)
    #expect(try read(Answer.text([0x41, 0x61, 0], "a")) == .malformed)
    #expect(try read(Answer.record(Self.same, 5, Answer.name("a.test") + [0])) == .malformed)
    var many = Answer(count: TextQuestion.recordCount + 1)
    many.records = Array(repeating: Answer.text(Self.same, "a"), count: 257)
    #expect(try question().read(many.bytes) == .malformed)
    many.count = TextQuestion.recordCount
    guard case .texts(let texts) = try question().read(many.bytes) else {
      Issue.record("the limit is one too low")
      return
    }
    #expect(texts.count == TextQuestion.recordCount)
  }

  @Test("survives every cut and every changed byte")
  func noise() throws {
    var answer = Answer()
    answer.records = [
      Answer.record(Self.same, 5, [1, 0x61, 0xC0, 28]), Answer.text([1, 0x61, 0xC0, 28], "there"),
    ]
    let bytes = answer.bytes
    #expect(try question().read(bytes) == texts("there"))
    for count in bytes.indices {
      let read = try question().read(Array(bytes.prefix(count)))
      #expect(read == .malformed || read == .other, "\(count)")
    }
    for index in bytes.indices {
      for value: UInt8 in [0, 1, 0x3F, 0x40, 0xC0, 0xFF] {
        var changed = bytes
        changed[index] = value
        _ = try question().read(changed)
      }
    }
  }
}
