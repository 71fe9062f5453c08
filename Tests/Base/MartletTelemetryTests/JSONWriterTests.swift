import Foundation
import MartletTelemetry
import Testing

@Suite("JSON writer")
struct JSONWriterTests {
  @Test("writes what a JSON reader reads")
  func nested() throws {
    var json = JSONWriter()
    json.object { json in
      json.member("name", "shop \"1\"\n")
      json.member("count", -3)
      json.member("large", UInt64.max)
      json.member("rate", 0.25)
      json.member("nothing", Double.nan)
      json.member("on", true)
      json.key("gap")
      json.null()
      json.key("took")
      json.seconds(nanoseconds: 1_250_000_000)
      json.array("members") { json in
        json.object { _ in }
        json.array { json in
          json.number(1)
          json.number(UInt64(2))
          json.boolean(false)
        }
        json.text("x")
        json.text(Array("y".utf8).span)
      }
      json.object("inner") { json in json.member("a\"b", 1) }
    }
    let bytes = json.finished()
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(
      text == #"{"name":"shop \"1\"\n","count":-3,"large":18446744073709551615,"rate":0.25,"#
        + #""nothing":null,"on":true,"gap":null,"took":1.250000,"#
        + #""members":[{},[1,2,false],"x","y"],"inner":{"a\"b":1}}"#
    )
    let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
    #expect(object?["name"] as? String == "shop \"1\"\n")
    #expect(object?["took"] as? Double == 1.25)
    #expect((object?["members"] as? [Any])?.count == 4)
  }

  @Test("writes one value a line")
  func lines() throws {
    var json = JSONWriter()
    for number in 0..<3 {
      json.object { $0.member("n", number) }
      json.newline()
    }
    #expect(String(decoding: json.finished(), as: UTF8.self) == "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n")
  }
}
