import Invariants
import Prefaces

/// What a PROXY header is read as.
private enum Reading: Hashable {
  case incomplete
  case refused(ProxyHeaderError)
  case header(ProxyHeaderParser.Parsed)
}

private func read(_ bytes: [UInt8], cuts: [Int]) -> Reading {
  let parser = ProxyHeaderParser()
  do throws(ProxyHeaderError) {
    for end in cuts + [bytes.count] {
      if let parsed = try parser.parse(bytes.span.extracting(..<end)) { return .header(parsed) }
    }
  } catch {
    return .refused(error)
  }
  return .incomplete
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProxy(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let whole = read(bytes, cuts: [])
  for cuts in cuts(of: bytes) {
    require(read(bytes, cuts: cuts) == whole, "every split gives the same")
  }
  guard case .header(let parsed) = whole else { return 0 }
  require(parsed.byteCount <= bytes.count, "within the bytes")
  require(
    read(Array(bytes.prefix(parsed.byteCount)), cuts: []) == whole,
    "what stands behind a header does not matter"
  )
  // What is written of it says the same of the client.
  for version in ProxyHeader.Version.allCases {
    let written = parsed.header.encoded(as: version)
    guard case .header(let again) = read(written, cuts: []) else {
      require(false, "a header that is written can be read")
      continue
    }
    require(again.byteCount == written.count, "a header that is written has no rest")
    guard version == parsed.version else { continue }
    require(again.header.source == parsed.header.source, "the client is the same")
    require(again.header.destination == parsed.header.destination, "the server is the same")
  }
  return 0
}
