import Cache
import HTTPCaching
import Testing

@Suite("Parts that are put together")
struct PartTests {
  /// The bytes of a whole, of which each tells where it is.
  private static func bytes(_ range: Range<Int>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
  }

  private static func part(_ range: Range<Int>, of length: Int) -> CachedParts {
    CachedParts(length: length, start: range.lowerBound, CachedBody(bytes(range)))
  }

  /// What is there from an offset on, up to an end.
  private func read(_ parts: CachedParts, _ range: Range<Int>) -> [UInt8] {
    var all: [UInt8] = []
    while all.count < range.count,
      let (bytes, place) = parts.piece(at: range.lowerBound + all.count)
    {
      all += bytes[place].prefix(range.count - all.count)
    }
    return all
  }

  private func assembled(_ parts: CachedParts) -> [UInt8]? {
    var assembly = CachedParts.Assembly(parts)
    for _ in 0..<1000 {
      guard let body = assembly.step() else { continue }
      #expect(body.pieces.dropLast().allSatisfy { $0.count == CachedBody.pieceBytes })
      return Array(body.pieces.joined())
    }
    return nil
  }

  @Test("say what is there and what is missing")
  func missing() throws {
    let parts = try #require(Self.part(10..<20, of: 100).joined(with: Self.part(40..<50, of: 100)))
    #expect(parts.contains(12..<20) && !parts.contains(12..<21) && !parts.isComplete)
    #expect(parts.span(missingOf: 15..<45) == 20..<40)
    #expect(parts.span(missingOf: 0..<100) == 0..<100)
    #expect(parts.span(missingOf: 40..<50) == nil)
    #expect(parts.piece(at: 20) == nil && parts.piece(at: 9) == nil && parts.piece(at: 50) == nil)
    #expect(read(parts, 12..<20) == Self.bytes(12..<20))
  }

  @Test("are too many at some time")
  func limit() throws {
    var parts = Self.part(0..<1, of: 1000)
    for place in 1..<PartSet.limit {
      parts = try #require(parts.joined(with: Self.part(place * 2..<place * 2 + 1, of: 1000)))
    }
    #expect(parts.joined(with: Self.part(500..<501, of: 1000)) == nil)
    #expect(parts.joined(with: Self.part(0..<100, of: 1000))?.contains(0..<100) == true)
  }

  @Test("of few bytes take no more than as many in one")
  func small() throws {
    var parts = Self.part(0..<1, of: 100_000)
    for place in 1..<3000 {
      parts = try #require(parts.joined(with: Self.part(place..<place + 1, of: 100_000)))
    }
    let answer = try CachedAnswer.of(parts)
    #expect(parts.byteCount == 3000 && answer.byteCount < 5000)
    #expect(read(parts, 0..<3000) == Self.bytes(0..<3000))
  }

  @Test("become the whole in any order", arguments: 0..<20)
  func anyOrder(round: Int) throws {
    let length = [1, 65_536, 65_537, 200_000, 3_000_000][round % 5]
    var parts: CachedParts?
    var steps: [ClosedRange<Int>] = []
    while parts?.isComplete != true {
      let first = Int.random(in: 0..<length)
      let last = min(length - 1, first + Int.random(in: 0..<max(1, length / 3)))
      steps.append(first...last)
      let range = steps.count > 40 ? 0..<length : first..<last + 1
      let next = Self.part(range, of: length)
      var all = next
      if let before = parts { all = try #require(before.joined(with: next)) }
      parts = all
      #expect(read(all, range) == Self.bytes(range), "\(steps)")
    }
    #expect(try assembled(#require(parts)) == Self.bytes(0..<length), "\(steps)")
  }
}

extension CachedAnswer {
  static func of(_ parts: CachedParts) throws -> CachedAnswer {
    CachedAnswer(
      terms: try keptTerms(),
      head: AnswerHead(
        status: 200,
        statusLine: Array("HTTP/1.1 200 OK".utf8),
        lines: [],
        length: parts.length,
        tag: 0..<0,
        lastModified: 0..<0
      ),
      body: CachedBody([]),
      keyCount: 0,
      parts: parts
    )
  }
}

private func keptTerms() throws -> StoredTerms { try terms() }
