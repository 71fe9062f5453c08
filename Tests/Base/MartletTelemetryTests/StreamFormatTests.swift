import Foundation
import MartletBytes
import MartletTelemetry
import Testing

@Suite("Records of connections")
struct StreamFormatTests {
  enum Form: CaseIterable { case json, text }

  private func line(
    _ form: Form,
    _ record: StreamRecord,
    member: String = "10.0.0.5:5432",
    detail: String = ""
  ) -> String {
    let labels = StreamLabels(listener: "tcp :5432", upstream: "databases")
    let (member, detail) = (Array(member.utf8), Array(detail.utf8))
    var buffer = TextBuffer()
    switch form {
    case .json:
      var format = JSONStreamFormat()
      format.append(record, labels, member: member.span, detail: detail.span, to: &buffer)
    case .text:
      var format = TextStreamFormat()
      format.append(record, labels, member: member.span, detail: detail.span, to: &buffer)
    }
    return String(decoding: [UInt8](copying: buffer.bytes), as: UTF8.self)
  }

  private var record: StreamRecord {
    var record = StreamRecord(time: Timestamp(unixNanoseconds: 1_763_736_560_518_000_000))
    record.clientWords = (0, 0xFFFF_7F00_0001)
    record.clientPort = 55_874
    record.bytesReceived = 517
    record.bytesSent = 1833
    record.tryCount = 2
    record.connectingNanoseconds = 212_000
    record.totalNanoseconds = 12_345_678_000
    return record
  }

  @Test("are written so")
  func whole() {
    #expect(
      line(.json, record)
        == #"{"time":"2025-11-21T14:49:20.518Z","client":"127.0.0.1","port":55874,"#
        + #""listener":"tcp :5432","upstream":"databases","member":"10.0.0.5:5432","received":517,"#
        + #""sent":1833,"tries":2,"end":"complete","seconds":{"connecting":0.000212,"#
        + #""total":12.345678}}"# + "\n"
    )
    #expect(
      line(.text, record) == "2025-11-21T14:49:20.518Z 127.0.0.1:55874 tcp :5432 databases "
        + "10.0.0.5:5432 517 1833 2 0.000212 12.345678 complete -\n"
    )
  }

  @Test("name an IPv6 client in brackets, and a Unix one without a port")
  func clients() {
    var other = record
    other.clientWords = (0x2001_0DB8_0000_0000, 1)
    #expect(line(.text, other).contains(" [2001:db8::1]:55874 "))
    #expect(line(.json, other).contains(#""client":"2001:db8::1","port":55874"#))
    other.clientWords = (0, 0)
    other.clientPort = 0
    #expect(line(.text, other).contains(" unix: tcp "))
    #expect(!line(.json, other).contains("port"))
  }

  @Test(
    "stay one line of the same fields, whatever a member or a detail is",
    arguments: Form.allCases
  )
  func hostile(form: Form) throws {
    let written = line(form, record, member: "a b\n\u{1B}[31m\"", detail: "\r\n\"} x")
    #expect(written.count { $0.isNewline } == 1)
    #expect(!written.unicodeScalars.contains("\u{1B}"))
    guard form == .json else { return }
    let object = try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [String: Any]
    #expect(object?["detail"] as? String == "\r\n\"} x")
  }

  @Test("leave out what is not there")
  func missing() {
    #expect(!line(.json, record, member: "").contains("member"))
    #expect(line(.text, record, member: "").contains(" databases - 517 "))
  }
}
