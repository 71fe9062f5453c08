import Invariants
import Probes

/// The probe that the first byte of an input stands for.
private func probe(_ choice: UInt8) -> StreamProbe {
  let question = HTTPQuestion(
    method: choice & 0x40 == 0 ? "GET" : "HEAD",
    path: "/",
    host: "a",
    statuses: [200...299],
    body: choice & 0x80 == 0 ? nil : BytePattern("ok*"),
    keepsConnection: choice & 0x20 != 0
  )
  return switch choice % 7 {
  case 0: .expect(ExpectProbe(BytePattern("SSH-2.0*")))
  case 1: .http(HTTPProbe(question))
  case 2: .tls(TLSProbe())
  case 3: .redis(RedisProbe())
  case 4: .postgresql(PostgreSQLProbe())
  case 5: .grpc(GRPCProbe(service: ""))
  default: .mysql(MySQLProbe())
  }
}

/// The verdict on an answer that comes in these parts and then ends, and whether it came before that.
private func verdict(_ choice: UInt8, _ bytes: ArraySlice<UInt8>, cuts: [Int]) -> ProbeVerdict {
  var probe = probe(choice)
  var start = bytes.startIndex
  for end in cuts.map({ bytes.startIndex + $0 }) + [bytes.endIndex] where end > start {
    if let verdict = probe.receive(Array(bytes[start..<end]).span) { return verdict }
    start = end
  }
  return probe.end()
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProbes(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  guard let choice = bytes.first else { return 0 }
  let answer = bytes.dropFirst()
  let whole = verdict(choice, answer, cuts: [])
  for cuts in cuts(of: Array(answer)) {
    require(verdict(choice, answer, cuts: cuts) == whole, "every split gives the same")
  }
  if case .failed(let failure) = whole {
    require(failure.detail.utf8.count <= 1024, "a detail fits a line of the log")
    require(
      failure.detail.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F },
      "a detail has no control character"
    )
  }
  return 0
}
