import Foundation
import MartletTelemetry
import Testing

/// The texts of a request, which a span can be taken of.
struct Texts {
  var requestID = ""
  var client = ""
  var method = "GET"
  var target = "/cart?item=1"
  var host = "shop.example"
  var referer = ""
  var userAgent = ""
  var member = "127.0.0.1:9001"
  var detail = ""
}

enum AccessForm: CaseIterable { case json, combined }

private let labels = AccessLabels(server: "shop \"1\"", route: "/cart", upstream: "api")

func line(_ form: AccessForm, _ record: AccessRecord, _ texts: Texts, bytes: Int = 2048) -> String {
  let arrays = [
    texts.requestID, texts.client, texts.method, texts.target, texts.host, texts.referer,
    texts.userAgent, texts.member, texts.detail,
  ].map { Array($0.utf8) }
  return line(form, record, arrays, bytes: bytes)
}

func line(
  _ form: AccessForm,
  _ record: AccessRecord,
  _ arrays: [[UInt8]],
  bytes: Int = 2048
) -> String {
  var text = AccessText()
  let requestID = arrays[0]
  text.requestID = requestID.span
  let client = arrays[1]
  text.client = client.span
  let method = arrays[2]
  text.method = method.span
  let target = arrays[3]
  text.target = target.span
  let host = arrays[4]
  text.host = host.span
  let referer = arrays[5]
  text.referer = referer.span
  let userAgent = arrays[6]
  text.userAgent = userAgent.span
  let member = arrays[7]
  text.member = member.span
  let detail = arrays[8]
  text.detail = detail.span
  var buffer = TextBuffer()
  switch form {
  case .json:
    var format = JSONAccessFormat(fieldBytes: bytes)
    format.append(record, text, labels, to: &buffer)
  case .combined:
    var format = CombinedAccessFormat(fieldBytes: bytes)
    format.append(record, text, to: &buffer)
  }
  return String(decoding: array(buffer.bytes), as: UTF8.self)
}

private func sample() -> AccessRecord {
  var record = AccessRecord(time: Timestamp(unixNanoseconds: 1_795_250_000_123_456_789))
  record.requestID = RequestID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)
  record.clientWords = (0, 0xFFFF_C000_0201)
  record.status = 200
  record.bytesReceived = 12
  record.bytesSent = 3456
  record.tryCount = 2
  record.reusedConnection = true
  record.nanoseconds.waiting = 1_000_000_000
  record.nanoseconds.head = 1000
  record.nanoseconds.routing = 2000
  record.nanoseconds.connecting = 3000
  record.nanoseconds.sending = 4000
  record.nanoseconds.answering = 1_500_000
  record.nanoseconds.relaying = 6000
  record.nanoseconds.total = 1_516_000
  return record
}

private func parsed(_ line: String) throws -> [String: Any] {
  let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
  return try #require(object as? [String: Any])
}

@Suite("Access log as JSON")
struct JSONAccessFormatTests {
  @Test("writes every member of a whole record")
  func whole() throws {
    var texts = Texts()
    texts.referer = "https://shop.example/"
    texts.userAgent = "curl/8 \"ü\""
    let line = line(.json, sample(), texts)
    #expect(line.hasSuffix("}\n"))
    #expect(line.count(where: { $0 == "\n" }) == 1)
    let object = try parsed(line)
    let strings = object.compactMapValues { $0 as? String }
    #expect(
      strings == [
        "time": "2026-11-21T08:33:20.123Z", "id": "0123456789abcdeffedcba9876543210",
        "client": "192.0.2.1", "method": "GET", "target": "/cart?item=1", "host": "shop.example",
        "version": "HTTP/1.1", "referer": "https://shop.example/", "user_agent": "curl/8 \"ü\"",
        "server": "shop \"1\"", "route": "/cart", "upstream": "api", "member": "127.0.0.1:9001",
        "end": "complete",
      ]
    )
    #expect(object["status"] as? Int == 200)
    #expect(object["received"] as? Int == 12)
    #expect(object["sent"] as? Int == 3456)
    #expect(object["tries"] as? Int == 2)
    #expect(object["reused"] as? Bool == true)
    #expect(
      object["seconds"] as? [String: Double] == [
        "waiting": 1, "head": 0.000001, "routing": 0.000002, "connecting": 0.000003,
        "sending": 0.000004, "answering": 0.0015, "relaying": 0.000006, "total": 0.001516,
      ]
    )
    #expect(object.count == 20)
  }

  @Test("writes durations of any length", arguments: 0..<8)
  func durations(step: Int) throws {
    let steps: [WritableKeyPath<StepNanoseconds, UInt64>] = [
      \.waiting, \.head, \.routing, \.connecting, \.sending, \.answering, \.relaying, \.total,
    ]
    let names = [
      "waiting", "head", "routing", "connecting", "sending", "answering", "relaying", "total",
    ]
    for nanoseconds in [0, 999, 9_999_999_999, 10_000_000_000, 86_400_000_001_000] as [UInt64] {
      var record = sample()
      record.nanoseconds[keyPath: steps[step]] = nanoseconds
      let read = try parsed(line(.json, record, Texts()))["seconds"] as? [String: Double]
      #expect(read?[names[step]] == Double(nanoseconds / 1000) / 1_000_000)
      #expect(
        read?[names[(step + 1) % 8]] == Double(sample().nanoseconds[keyPath: steps[(step + 1) % 8]])
          / 1e9
      )
      #expect(read?.count == 8)
    }
  }

  @Test("leaves out the texts that a request has not")
  func empty() throws {
    let nothing = [[UInt8]](repeating: [], count: 9)
    let object = try parsed(line(.json, AccessRecord(time: Timestamp(unixNanoseconds: 0)), nothing))
    #expect(
      Set(object.keys) == [
        "time", "id", "client", "version", "status", "received", "sent", "server", "route",
        "upstream", "tries", "reused", "end", "seconds",
      ]
    )
    #expect(object["id"] as? String == String(repeating: "0", count: 32))
  }

  @Test("writes the outcome of a call, and nothing for what is none", arguments: [nil, 0, 14])
  func calls(status: UInt8?) throws {
    var record = sample()
    if let status { record.callStatus = status }
    let object = try parsed(line(.json, record, Texts()))
    #expect(object["grpc_status"] as? Int == status.map { Int($0) })
  }

  @Test("leaves out labels that a route has not")
  func noLabels() throws {
    var format = JSONAccessFormat()
    let plain = written { format.append(sample(), AccessText(), .none, to: &$0) }
    let named = written {
      format.append(sample(), AccessText(), AccessLabels(server: "s"), to: &$0)
    }
    let (without, with) = (Set(try parsed(plain).keys), Set(try parsed(named).keys))
    #expect(without.isDisjoint(with: ["server", "route", "upstream"]))
    #expect(with.subtracting(without) == ["server"])
  }

  @Test("a trusted client's names come before ours")
  func given() throws {
    var texts = Texts()
    texts.requestID = "order-17"
    texts.client = "198.51.100.7"
    texts.detail = "bare_line_feed"
    let object = try parsed(line(.json, sample(), texts))
    #expect(object["id"] as? String == "order-17")
    #expect(object["client"] as? String == "198.51.100.7")
    #expect(object["detail"] as? String == "bare_line_feed")
  }

  @Test("names each end by a word of its own", arguments: EndReason.allCases)
  func ends(reason: EndReason) throws {
    var record = sample()
    record.end = reason
    #expect(try parsed(line(.json, record, Texts()))["end"] as? String == reason.rawValue)
    #expect(reason.rawValue.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F })
  }
}

@Suite("Access log in the combined form")
struct CombinedAccessFormatTests {
  @Test("is the form that Apache made common")
  func whole() {
    var texts = Texts()
    texts.referer = "https://shop.example/"
    texts.userAgent = "curl/8"
    #expect(
      line(.combined, sample(), texts)
        == "192.0.2.1 - - [21/Nov/2026:08:33:20 +0000] \"GET /cart?item=1 HTTP/1.1\" 200 3456 "
        + "\"https://shop.example/\" \"curl/8\"\n"
    )
  }

  @Test("writes a hyphen for what is not there")
  func empty() {
    let nothing = [[UInt8]](repeating: [], count: 9)
    var record = AccessRecord(time: Timestamp(unixNanoseconds: 0))
    record.status = 400
    #expect(
      line(.combined, record, nothing)
        == "unix: - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 - \"-\" \"-\"\n"
    )
  }
}

@Suite("Access logs")
struct AccessFormatTests {
  @Test("a hostile request is one line of the same fields", arguments: AccessForm.allCases)
  func injection(form: AccessForm) throws {
    var generator = SystemRandomNumberGenerator()
    let letters = Array("\"\\\r\n\u{0}\u{7F}\u{85}\u{2028}é a{}[]-,:".utf8) + [0xFF, 0xC0, 0x80]
    for _ in 0..<500 {
      let arrays: [[UInt8]] = (0..<9).map { _ in
        (0..<Int.random(in: 1..<40, using: &generator)).map { _ in
          letters[Int.random(in: letters.indices, using: &generator)]
        }
      }
      let line = line(form, sample(), arrays)
      #expect(line.utf8.filter { $0 < 0x20 || $0 == 0x7F } == [0x0A])
      #expect(line.unicodeScalars.allSatisfy { $0.value != 0x85 && $0.value != 0x2028 })
      switch form {
      case .json:
        let object = try parsed(line)
        #expect(object["target"] as? String == String(decoding: arrays[3], as: UTF8.self))
        #expect(object["user_agent"] as? String == String(decoding: arrays[6], as: UTF8.self))
        #expect(object.count == 21)
      case .combined:
        let bare = line.replacing("\\\\", with: "").replacing("\\\"", with: "")
        #expect(bare.count(where: { $0 == "\"" }) == 6)
      }
    }
  }

  @Test("cuts a text at its limit and not before", arguments: AccessForm.allCases, [15, 16, 17])
  func cut(form: AccessForm, length: Int) throws {
    var texts = Texts()
    texts.target = "/" + String(repeating: "t", count: length - 1)
    let line = line(form, sample(), texts, bytes: 16)
    let mark = form == .json ? "…" : "..."
    let kept = length <= 16 ? texts.target : texts.target.prefix(16) + mark
    #expect(line.contains(form == .json ? "\"\(kept)\"" : " \(kept) HTTP/1.1\""))
  }

  @Test("a format can be used again and again", arguments: AccessForm.allCases)
  func again(form: AccessForm) {
    var json = JSONAccessFormat()
    var combined = CombinedAccessFormat()
    var buffer = TextBuffer()
    var expected = ""
    for second in [0, 0, 1, 1, 86_400] as [UInt64] {
      let record = AccessRecord(time: Timestamp(unixNanoseconds: second * 1_000_000_000))
      switch form {
      case .json: json.append(record, AccessText(), labels, to: &buffer)
      case .combined: combined.append(record, AccessText(), to: &buffer)
      }
      expected += line(form, record, [[UInt8]](repeating: [], count: 9))
    }
    #expect(String(decoding: array(buffer.bytes), as: UTF8.self) == expected)
  }
}
