import Invariants
import Prefaces

/// What the beginning of a connection is read as.
private enum Reading: Hashable {
  case incomplete
  case refused(ClientHelloError)
  case hello(ClientHello)
}

private func read(_ bytes: [UInt8], cuts: [Int]) -> Reading {
  var reader = ClientHelloReader()
  do throws(ClientHelloError) {
    for end in cuts + [bytes.count] {
      if let hello = try reader.read(bytes.span.extracting(..<end)) { return .hello(hello) }
    }
  } catch {
    return .refused(error)
  }
  return .incomplete
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHello(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let limits = ClientHelloLimits()
  let whole = read(bytes, cuts: [])
  for cuts in cuts(of: bytes) {
    require(read(bytes, cuts: cuts) == whole, "every split gives the same")
    // First bytes that are known stay what they are, whatever follows.
    var known: FirstBytes?
    for end in cuts {
      let first = FirstBytes(of: bytes.span.extracting(..<end))
      if let known { require(first == known, "a protocol that is known stays so") }
      if first != .undecided { known = first }
    }
  }
  guard case .hello(let hello) = whole else {
    if whole == .incomplete {
      require(bytes.count < limits.connectionBytes, "with so many bytes there is an answer")
    }
    return 0
  }
  require(hello.byteCount <= bytes.count, "within the bytes")
  require(hello.protocols.count <= limits.protocolCount, "as many protocols as may be")
  require(hello.versions.count <= limits.versionCount, "as many versions as may be")
  require(hello.protocols.allSatisfy { (1...255).contains($0.count) }, "no protocol is empty")
  if let name = hello.serverName {
    require((1...255).contains(name.utf8.count), "a name has 1 to 255 bytes")
    require(name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }, "a name is one")
    require(name == name.lowercased(), "a name is in lower case")
  }
  return 0
}
