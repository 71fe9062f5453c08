import HTTPMessage
import MartletBytes
import Testing

@Suite("Field names, RFC 9110 section 5.1")
struct FieldNameTests {
  private func name(_ text: String) -> FieldName {
    let bytes = Array(text.utf8)
    return FieldName(bytes.span)
  }

  @Test("knows each name in every case", arguments: FieldName.allCases.filter { $0 != .other })
  func known(wanted: FieldName) {
    let text = wanted.text.description
    #expect(!text.isEmpty, "\(wanted) has no spelling")
    #expect(name(text) == wanted)
    #expect(name(text.uppercased()) == wanted)
    #expect(name(text.lowercased()) == wanted)
  }

  @Test("takes no other name for a known one", arguments: FieldName.allCases)
  func unknown(near: FieldName) {
    let text = near.text.description
    #expect(name(text + "x") != near || near == .other)
    for position in text.utf8.indices {
      var bytes = Array(text.utf8)
      let index = text.utf8.distance(from: text.utf8.startIndex, to: position)
      // The bit that tells the cases of a letter apart is not it.
      bytes[index] ^= 0x80
      #expect(FieldName(bytes.span) == .other)
      bytes[index] ^= 0x81
      #expect(FieldName(bytes.span) != near)
    }
  }

  @Test("finds a name in the midst of other bytes", arguments: ["Host", "If-Unmodified-Since"])
  func inside(text: String) {
    for padding in [0, 1, 15, 16, 40] {
      let bytes = Array("abc\(text)".utf8) + [UInt8](repeating: 0x3A, count: padding)
      let found = FieldName(in: bytes.span, at: 3, count: text.utf8.count)
      #expect(found.text.description == text)
    }
  }

  @Test("is no known name when empty or long", arguments: [0, 33, 64, 300])
  func odd(count: Int) {
    #expect(name(String(repeating: "a", count: count)) == .other)
  }

  @Test(
    "forbids in trailers what frames, routes or describes",
    arguments: [FieldName.host, .contentLength, .transferEncoding, .connection, .contentType]
  )
  func trailers(name: FieldName) {
    #expect(name.isForbiddenInTrailers)
  }

  @Test("allows other names in trailers", arguments: [FieldName.other, .eTag, .traceparent])
  func allowedTrailers(name: FieldName) {
    #expect(!name.isForbiddenInTrailers)
  }
}

@Suite("Methods, RFC 9110 section 9")
struct MethodTests {
  @Test("reads each method as it is written", arguments: Method.allCases.filter { $0 != .other })
  func reads(method: Method) {
    let bytes = Array(method.text.description.utf8)
    #expect(Method(bytes.span) == method)
    let lower = Array(method.text.description.lowercased().utf8)
    #expect(Method(lower.span) == .other)
  }

  @Test("calls other what is no method it knows", arguments: ["", "GE", "GETS", "XGETXXXXX"])
  func unknown(text: String) {
    let bytes = Array(text.utf8)
    #expect(Method(bytes.span) == .other)
  }

  @Test("lets no method be safe that is not idempotent", arguments: Method.allCases)
  func properties(method: Method) {
    #expect(!method.isSafe || method.isIdempotent)
  }
}
