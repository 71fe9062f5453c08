import HTTP1
import HTTPMessage
import Invariants

/// What a response is read as.
private enum Reading: Hashable {
  case incomplete
  case refused(MessageError)
  case head(ResponseHead)
}

private func read(_ bytes: [UInt8], answering method: Method, cuts: [Int]) -> Reading {
  var parser = ResponseParser(limits: HeadLimits())
  var head = ResponseHead()
  do throws(MessageError) {
    for end in cuts + [bytes.count] {
      let given = bytes.span.extracting(..<end)
      if try parser.parse(given, answering: method, into: &head) { return .head(head) }
    }
  } catch {
    require(error.status == 502, "an upstream's defect is a bad gateway")
    return .refused(error)
  }
  return .incomplete
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzResponse(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  for method in [Method.get, .head, .connect] {
    let whole = read(bytes, answering: method, cuts: [])
    for cuts in cuts(of: bytes) {
      require(read(bytes, answering: method, cuts: cuts) == whole, "every split gives the same")
    }
    guard case .head(let head) = whole else { continue }
    let naive = NaiveHead(bytes, skippingEmptyLines: false)
    naive.requireAgreement(
      fields: head.fields,
      byteCount: head.byteCount,
      startLine: head.startLine,
      bytes: bytes
    )
    let isBodiless = head.status < 200 || head.status == 204 || head.status == 304
    naive.requireFraming(head.bodyLength, mayBeNone: isBodiless || method != .get)
    require(!isBodiless || head.bodyLength == .none, "no body where none can be")
    require(100...599 ~= head.status, "a status is one of five classes")
    require(head.reason.upperBound <= head.startLine.upperBound, "the reason is in its line")
  }
  return 0
}
