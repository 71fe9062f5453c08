import Compression
import HTTPMessage
import Invariants
import MartletBytes

private let used = Array("Use-As-Dictionary".utf8)
private let available = Array("Available-Dictionary".utf8)

/// Called by libFuzzer with each input: up to four lines, a value of `Use-As-Dictionary` or `Available-Dictionary`,
/// a pattern, an id, and destinations.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDictionaries(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let given = Array(unsafe input(start, count).prefix(60_000))
  let lines = given.split(separator: 0x0A, maxSplits: 3, omittingEmptySubsequences: false)
  let value = Array(lines.first ?? [])
  checkDigest(value)
  if isOffered([value]) {
    require(!isOffered([value, value]), "two lines are none")
    require(!isOffered([Array(value + [0x2C])]), "behind a comma stands something")
    // What is said first counts as well as what is said last.
    require(!isOffered([Array(value + Array(", match=x".utf8))]), "a pattern is a string")
  }
  let match = text(of: lines.dropFirst().first)
  let id = text(of: lines.dropFirst(2).first)
  let destinations = text(of: lines.dropFirst(3).first).split(separator: " ").map(String.init)
  let use = DictionaryUse(match: match, destinations: destinations, id: id)
  let isPlain = ([match, id] + destinations).allSatisfy { text in
    text.utf8.allSatisfy { 0x20..<0x7F ~= $0 }
  }
  let isRight =
    isPlain && DictionaryUse.problem(ofMatch: match) == nil
    && id.utf8.count <= DictionaryUse.idLimit
  require(isOffered([Array(use.text.utf8)]) == isRight, "what is written is read")
  return 0
}

private func text(of line: ArraySlice<UInt8>?) -> String {
  String(decoding: line ?? [], as: UTF8.self)
}

/// Whether an answer with these lines can be used as a dictionary.
private func isOffered(_ values: [[UInt8]]) -> Bool {
  var bytes = used
  var response = ResponseHead()
  response.status = 200
  for value in values {
    let line = line(used.count, value, in: &bytes)
    response.fields.append(line)
  }
  let offered = DictionaryUse.isOffered(by: response, in: bytes.span)
  require(offered == DictionaryUse.isOffered(by: response, in: bytes.span), "it is so each time")
  return offered
}

/// What names a dictionary can be written again, and is the same then.
private func checkDigest(_ value: [UInt8]) {
  guard let bytes = digest(of: value)?.bytes else { return }
  require(bytes.count == DictionaryDigest.byteCount, "a digest has its length")
  let again = [0x3A] + Base64.encoded(bytes.span) + [0x3A]
  require(digest(of: again)?.bytes == bytes, "a digest is read as it is written")
}

private func digest(of value: [UInt8]) -> DictionaryDigest? {
  var bytes = available
  var request = RequestHead()
  let line = line(available.count, value, in: &bytes)
  request.fields.append(line)
  return DictionaryDigest(of: request, in: bytes.span)
}

/// A line whose name stands in front of `bytes`, and whose value is put behind them.
private func line(_ nameCount: Int, _ value: [UInt8], in bytes: inout [UInt8]) -> FieldLine {
  let start = bytes.count
  bytes += value
  return FieldLine(
    name: .other,
    nameRange: ByteRange(0..<nameCount),
    valueRange: ByteRange(HTTPGrammar.trimmed(start..<bytes.count, in: bytes.span)),
    lineEnd: 0,
    isHopByHop: false
  )
}
