import Certificates
import TLS
import Testing

@Suite("What the local authority has revoked")
struct RevocationListTests {
  private static let day: Int64 = 86_400

  private func entry(
    _ serial: [UInt8],
    until: Int64 = 100 * day,
    reason: Int = 0
  ) -> RevocationList.Entry {
    RevocationList.Entry(serial: serial, time: 1_700_000_000, reason: reason, until: until)
  }

  private func list(_ entries: [RevocationList.Entry]) throws -> RevocationList {
    var list = try #require(RevocationList([]))
    for entry in entries { #expect(list.add(entry, at: 0) == .added) }
    return list
  }

  @Test("is written and read again as it was")
  func text() throws {
    let longest = [UInt8](repeating: 0x7F, count: 20)
    let list = try list([entry([1]), entry([0xAB, 0x0C], reason: 4), entry(longest)])
    let text = String(decoding: list.text, as: UTF8.self)
    #expect(text.hasPrefix("01 1700000000 0 8640000\nab0c 1700000000 4 8640000\n7f7f"))
    #expect(RevocationList(list.text)?.entries == list.entries)
    #expect(list.told.map(\.reason) == [0, 4, 0])
    #expect(list.told.map(\.serial) == [[1], [0xAB, 0x0C], longest])
  }

  @Test(
    "is not read at all where a line is not in form: nothing may be left out",
    arguments: [
      "01 1 0", "01 1 0 2 3", "xy 1 0 2", "01 a 0 2", "01 1 b 2", "01 1 0 c", "00 1 0 2", " 1 0 2",
      "01 1 0 2\nbroken", "01 99999999999999999999 0 2",
    ]
  )
  func malformed(text: String) { #expect(RevocationList(Array(text.utf8)) == nil) }

  @Test("lets empty lines pass")
  func emptyLines() { #expect(RevocationList(Array("\n01 1 0 2\n\n".utf8))?.entries.count == 1) }

  @Test(
    "takes numbers as people write them",
    arguments: [
      ("1", [1]), ("01", [1]), ("0001", [1]), ("aB:cD", [0xAB, 0xCD]), ("ABC", [0x0A, 0xBC]),
      ("00ff", [0xFF]), (String(repeating: "7f", count: 20), [UInt8](repeating: 0x7F, count: 20)),
    ] as [(String, [UInt8])]
  )
  func numbers(text: String, bytes: [UInt8]) { #expect(RevocationList.bytes(text) == bytes) }

  @Test(
    "takes no other ones",
    arguments: ["", ":", "0", "00", "g", "0x1", "1 2", String(repeating: "7f", count: 21)]
  )
  func noNumbers(text: String) { #expect(RevocationList.bytes(text) == nil) }

  @Test("has each certificate once")
  func known() throws {
    var list = try list([entry([1])])
    #expect(list.add(entry([1], reason: 1), at: 0) == .known)
    #expect(list.entries.map(\.reason) == [0])
  }

  @Test("forgets a certificate eight days behind its end, and not a second before")
  func over() throws {
    var list = try list([entry([1], until: 1000)])
    #expect(list.add(entry([2]), at: 1000 + 8 * Self.day) == .added)
    #expect(list.entries.map(\.serial) == [[1], [2]])
    #expect(list.add(entry([3]), at: 1001 + 8 * Self.day) == .added)
    #expect(list.entries.map(\.serial) == [[2], [3]])
    // It may come again.
    #expect(list.add(entry([1]), at: 1002 + 8 * Self.day) == .added)
  }

  @Test("holds so many, and no more; what is in it stays, and its text fits")
  func full() throws {
    let last = RevocationList.count - 1
    let lines = (0...last).map { number in
      let digits = String(number + 1, radix: 16)
      return String(repeating: "f", count: 40 - digits.count) + digits + " 1700000000 0 8640000\n"
    }
    let whole = Array(lines.joined().utf8)
    #expect(whole.count <= RevocationList.fileBytes)
    var list = try #require(RevocationList(whole))
    #expect(list.add(entry([1]), at: 0) == .full)
    #expect(list.add(entry(list.entries[last].serial), at: 0) == .known)
    #expect(list.entries.count == RevocationList.count)
    var almost = try #require(RevocationList(Array(lines.dropLast().joined().utf8)))
    #expect(almost.add(entry([1]), at: 0) == .added)
    #expect(almost.add(entry([2]), at: 0) == .full)
  }
}
