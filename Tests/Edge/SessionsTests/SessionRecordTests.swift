import Sessions
import Testing

@Suite("Session records")
struct SessionRecordTests {
  private func record() -> SessionRecord {
    var record = SessionRecord(name: "n", at: 5)
    record.user = "älice"
    record.values = ["cart": "3", "": "x", "theme": ""]
    record.usedAt = 9
    return record
  }

  @Test("what was kept is read as it was")
  func kept() {
    #expect(SessionRecord(record().bytes) == record())
  }

  @Test("what was cut off is not what was kept, wherever that was")
  func cut() {
    let bytes = record().bytes
    for count in bytes.indices { #expect(SessionRecord(Array(bytes[..<count])) != record()) }
    #expect(SessionRecord([2] + bytes.dropFirst()) == nil)
    #expect(SessionRecord(bytes + [1]) == nil)
  }
}
