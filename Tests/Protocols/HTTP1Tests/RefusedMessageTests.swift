import HTTP1
import HTTPMessage
import TestCorpora
import Testing

@Suite("Messages that two readers could read in two ways")
struct RefusedMessageTests {
  /// The error of a request, and whether it was in the body.
  private func refusal(
    of bytes: [UInt8],
    cuts: [Int] = []
  ) throws -> (error: MessageError, isBody: Bool)? {
    let head: ReadHead?
    do throws(MessageError) {
      head = try readRequest(bytes, cuts: cuts)
    } catch {
      return (error, false)
    }
    return try refusal(ofBodyBehind: head, in: bytes, cuts: cuts)
  }

  /// The error of a response, and whether it was in the body.
  private func upstreamRefusal(
    of bytes: [UInt8],
    cuts: [Int] = []
  ) throws -> (error: MessageError, isBody: Bool)? {
    let head: ReadHead?
    do throws(MessageError) {
      head = try readResponse(bytes, cuts: cuts)
    } catch {
      return (error, false)
    }
    guard let found = try refusal(ofBodyBehind: head, in: bytes, cuts: cuts) else { return nil }
    return (found.error.fromUpstream, found.isBody)
  }

  private func refusal(
    ofBodyBehind head: ReadHead?,
    in bytes: [UInt8],
    cuts: [Int]
  ) throws -> (error: MessageError, isBody: Bool)? {
    guard let head, head.bodyLength == .chunked else { return nil }
    let rest = cuts.map { $0 - head.byteCount }.filter { $0 > 0 }
    do {
      _ = try readBody(Array(bytes[head.byteCount...]), cuts: rest)
    } catch let error as MessageError {
      return (error, true)
    }
    return nil
  }

  @Test("are refused when a client sends them", arguments: try RefusedMessage.all(in: .smuggling))
  func requests(message: RefusedMessage) throws {
    let found = try #require(try refusal(of: message.bytes), "accepted")
    #expect(found.error.reason.rawValue == message.reason)
    #expect(found.error.status == message.status)
    #expect(found.isBody == (message.part == .body))
    for cut in cuts(message.bytes) {
      let split = try refusal(of: message.bytes, cuts: [cut])
      #expect(split?.error == found.error, "cut at \(cut)")
      #expect(split?.isBody == found.isBody, "cut at \(cut)")
    }
  }

  @Test(
    "are refused when an upstream sends them",
    arguments: try RefusedMessage.all(in: .responses)
  )
  func responses(message: RefusedMessage) throws {
    let found = try #require(try upstreamRefusal(of: message.bytes), "accepted")
    #expect(found.error.reason.rawValue == message.reason)
    #expect(found.error.status == message.status)
    #expect(found.isBody == (message.part == .body))
    for cut in cuts(message.bytes) {
      let split = try upstreamRefusal(of: message.bytes, cuts: [cut])
      #expect(split?.error == found.error, "cut at \(cut)")
      #expect(split?.isBody == found.isBody, "cut at \(cut)")
    }
  }

  @Test("cover every defect that there is a name for")
  func coverage() throws {
    let named = Set(
      try (RefusedMessage.all(in: .smuggling) + RefusedMessage.all(in: .responses)).map(\.reason)
    )
    let all = Set(MessageError.Reason.allCases.map(\.rawValue))
    #expect(all.subtracting(named) == [])
    #expect(named.subtracting(all) == [])
  }

  /// Every offset of a short message; of a long one the first, and those around its limits.
  private func cuts(_ bytes: [UInt8]) -> [Int] {
    let all = Array(1..<bytes.count)
    return bytes.count < 400 ? all : Array(all.prefix(200)) + all.filter { $0 % 257 == 0 }
  }
}
