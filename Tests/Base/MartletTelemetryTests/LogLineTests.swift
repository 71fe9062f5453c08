import Foundation
import MartletTelemetry
import Testing

private func line(_ form: LogFormat.Form, _ line: LogLine) -> String {
  var format = LogFormat(form)
  return written { format.append(line, to: &$0) }
}

private let time = Timestamp(unixNanoseconds: 1_795_250_000_123_456_789)

@Suite("Error log")
struct LogLineTests {
  private let sample = LogLine(
    time,
    .warning,
    "A member is down",
    [
      LogLine.Field("member", "127.0.0.1:9001"), LogLine.Field("reason", "no route to \"host\""),
      LogLine.Field("tries", 3), LogLine.Field("took", .nanoseconds(1_500_000)),
      LogLine.Field("backup", .boolean(true)), LogLine.Field("empty", ""),
    ]
  )

  @Test("is one line for people")
  func text() {
    #expect(
      line(.text, sample) == "2026-11-21T08:33:20.123Z warning A member is down "
        + "member=127.0.0.1:9001 reason=\"no route to \\\"host\\\"\" tries=3 took=0.001500 "
        + "backup=true empty=\"\"\n"
    )
  }

  @Test("is one object for programs")
  func json() throws {
    let text = line(.json, sample)
    #expect(text.hasSuffix("}\n"))
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    let read = try #require(object)
    #expect(
      read.compactMapValues { $0 as? String } == [
        "time": "2026-11-21T08:33:20.123Z", "level": "warning", "message": "A member is down",
        "member": "127.0.0.1:9001", "reason": "no route to \"host\"", "empty": "",
      ]
    )
    #expect(read["tries"] as? Int == 3)
    #expect(read["took"] as? Double == 0.0015)
    #expect(read["backup"] as? Bool == true)
    #expect(read.count == 9)
  }

  @Test(
    "stays one line whatever it quotes",
    arguments: [LogFormat.Form.text, .json],
    ["a\nb", "\u{1B}[2J", "\u{2028}", "x\r", "é\u{85}", "\" x=1"]
  )
  func hostile(form: LogFormat.Form, text: String) throws {
    let written = line(form, LogLine(time, .error, text, [LogLine.Field("name", text)]))
    #expect(written.utf8.filter { $0 < 0x20 } == [0x0A])
    #expect(written.unicodeScalars.allSatisfy { $0.value != 0x85 && $0.value != 0x2028 })
    if form == .json {
      let object = try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [String: Any]
      #expect(object?["message"] as? String == text)
      #expect(object?["name"] as? String == text)
    }
  }

  @Test("cuts what is longer than its limit, and nothing else", arguments: [4095, 4096, 4097])
  func cut(length: Int) {
    let long = String(repeating: "x", count: length)
    let text = line(.text, LogLine(time, .notice, long))
    let kept = length <= LogFormat.textBytes ? long : long.prefix(4096) + "…"
    #expect(text == "2026-11-21T08:33:20.123Z notice \(kept)\n")
  }

  @Test("levels are in the order of what they matter")
  func levels() {
    #expect(LogLine.Level.allCases == LogLine.Level.allCases.sorted())
  }
}
