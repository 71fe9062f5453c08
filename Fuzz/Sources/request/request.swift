import HTTP1
import HTTPMessage
import Invariants

/// What a request is read as.
private enum Reading: Hashable {
  case incomplete
  case refused(MessageError)
  case head(RequestHead)
}

private func read(_ bytes: [UInt8], cuts: [Int]) -> Reading {
  var parser = RequestParser(limits: HeadLimits())
  var head = RequestHead()
  do throws(MessageError) {
    for end in cuts + [bytes.count]
    where try parser.parse(bytes.span.extracting(..<end), into: &head) {
      return .head(head)
    }
  } catch {
    return .refused(error)
  }
  return .incomplete
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequest(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let whole = read(bytes, cuts: [])
  for cuts in cuts(of: bytes) {
    require(read(bytes, cuts: cuts) == whole, "every split gives the same")
  }
  guard case .head(let head) = whole else { return 0 }
  let naive = NaiveHead(bytes, skippingEmptyLines: true)
  naive.requireAgreement(
    fields: head.fields,
    byteCount: head.byteCount,
    startLine: head.startLine,
    bytes: bytes
  )
  naive.requireFraming(head.bodyLength, mayBeNone: false)
  let line = head.startLine
  for part in [head.methodRange, head.target] {
    require(part.lowerBound >= line.lowerBound && part.upperBound <= line.upperBound, "in its line")
    require(!bytes[part.range].contains(0x20), "a part of the request line has no space")
  }
  for part in [head.authority, head.host, head.path, head.query] {
    require(part.upperBound <= head.byteCount, "within the head")
  }
  require(head.version == .http10 || !head.host.isEmpty, "HTTP/1.1 has a host")
  require(naive.values(of: "host").count <= 1, "there is one host at most")
  let segments = bytes[head.path.range].split(separator: 0x2F)
  require(!segments.contains([0x2E]) && !segments.contains([0x2E, 0x2E]), "no dot segments")
  return 0
}
