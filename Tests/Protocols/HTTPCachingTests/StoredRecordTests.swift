import HTTPCaching
import TestCorpora
import Testing

@Suite("A stored response on a disk")
struct StoredRecordTests {
  private func record(_ count: Int = 150_000) throws -> StoredRecord {
    let names = Array("accept-encoding,accept-language".utf8)
    return StoredRecord(
      key: Array("12345678https://shop.example/a".utf8),
      terms: try #require(
        Answered(200, "Cache-Control: max-age=60, stale-if-error=9", "ETag: \"a\"", "Age: 7")
          .terms()
      ),
      statusLine: Array("HTTP/1.1 200 OK".utf8),
      lines: Array("ETag: \"a\"\r\nLast-Modified: x\r\n".utf8),
      tag: 6..<9,
      lastModified: 26..<27,
      vary: VaryRule(encoded: names.span),
      variant: Array("gzip\nde\n".utf8),
      tags: [1, .max, 7],
      number: 42,
      contentCount: UInt64(count),
      blocks: (0..<StoredRecord.blockCount(of: UInt64(count))).map { UInt64($0) &* 77 }
    )
  }

  @Test("is read as it was written", arguments: [0, 1, 65_536, 65_537, 1 << 24])
  func roundTrip(count: Int) throws {
    var record = try record(count)
    for _ in 0..<2 {
      let bytes = record.encoded(at: 9)
      #expect(StoredRecord.headCount(bytes.span) == bytes.count)
      #expect(StoredRecord(encoded: bytes, at: 9) == record)
      record.vary = nil
      record.tags = []
      record.variant = []
      record.tag = 0..<0
      record.key = []
    }
  }

  @Test("is refused with any bit flipped, cut anywhere, with anything behind it, or elsewhere")
  func damaged() throws {
    let record = try record()
    let bytes = record.encoded(at: 9)
    for index in bytes.indices {
      for bit in 0..<8 {
        var other = bytes
        other[index] ^= 1 << bit
        #expect(StoredRecord(encoded: other, at: 9) == nil, "byte \(index), bit \(bit)")
      }
      #expect(StoredRecord(encoded: Array(bytes[..<index]), at: 9) == nil)
    }
    #expect(StoredRecord(encoded: bytes + [0], at: 9) == nil)
    #expect(StoredRecord(encoded: bytes, at: 8) == nil)
  }

  @Test(
    "is read as another program wrote it, and refused where that was broken",
    arguments: ["cut", "empty", "flipped", "large", "plain", "vary"]
  )
  func corpus(name: String) throws {
    let bytes = try Corpus.stored.bytes(of: "\(name).bin")
    guard let record = StoredRecord(encoded: bytes, at: 7) else {
      #expect(["cut", "empty", "flipped"].contains(name))
      return
    }
    #expect(["large", "plain", "vary"].contains(name))
    #expect(record.encoded(at: 7) == bytes)
    #expect(record.key == Array("12345678https://a/b".utf8) && record.number == 5)
    #expect(record.terms.status == 200 && record.terms.lifetime == 60_000)
    #expect(record.lines[record.tag] == Array("\"a\"".utf8)[...])
  }

  @Test("is refused where its sum is right and what it says cannot be", arguments: 0..<40)
  func forged(seed: UInt64) throws {
    var numbers = Numbers(state: seed)
    let bytes = try record(70_000).encoded(at: 9)
    for _ in 0..<200 {
      var forged = bytes
      for _ in 0..<Int.random(in: 1...3, using: &numbers) {
        forged[Int.random(in: 16..<forged.count, using: &numbers)] = UInt8.random(
          in: 0...255,
          using: &numbers
        )
      }
      forged = StoredRecord.sealed(forged, at: 9)
      guard let read = StoredRecord(encoded: forged, at: 9) else { continue }
      // What is taken is what it says, and can be reckoned with.
      #expect(read.encoded(at: 9) == forged)
      #expect(read.tag.upperBound <= read.lines.count)
      for moment in [Int64.min, 0, 1_700_000_000_000, .max] {
        let now = Moment(milliseconds: moment)
        _ = (read.terms.age(at: now), read.terms.timeToLive(at: now), read.terms.isOfUse(until: 9))
      }
    }
  }
}

/// Numbers that look random and are the same in every run.
private struct Numbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
    return value ^ value &>> 31
  }
}
