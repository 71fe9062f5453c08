import HTTPMessage
import Invariants

private let names: [FieldName] = [
  .ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince, .ifRange, .range, .acceptEncoding,
]

/// Called by libFuzzer with each input: lines, each a digit that says which field it is, and its value.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConditions(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(unsafe input(start, count).prefix(60_000))
  var head = RequestHead()
  var offset = 0
  for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).prefix(100) {
    let range = offset..<offset + line.count
    offset = range.upperBound + 1
    guard let first = line.first, first &- 0x30 < names.count else { continue }
    head.fields.append(
      FieldLine(
        name: names[Int(first - 0x30)],
        nameRange: ByteRange(range.lowerBound..<range.lowerBound + 1),
        valueRange: ByteRange(range.lowerBound + 1..<range.upperBound),
        lineEnd: UInt16(range.upperBound),
        isHopByHop: false
      )
    )
  }
  let now = HTTPDate(secondsSince1970: 1_800_000_000)
  let modified = HTTPDate(secondsSince1970: 784_111_777)
  let tag = Array("\"a\"".utf8)
  for method in [Method.get, .head, .put] {
    head.method = method
    let conditions = Preconditions(of: head)
    let current = Preconditions.Validators(tag: tag.span, modified: modified)
    let outcome = conditions.outcome(for: current, now: now, in: bytes.span)
    if outcome == .notModified {
      require(method != .put, "304 is for reading alone")
      require(
        head.fields.contains { $0.name == .ifNoneMatch || $0.name == .ifModifiedSince },
        "who has nothing is not told to use it"
      )
    }
    if conditions.isEmpty { require(outcome == .proceed, "without a condition nothing fails") }
    guard let value = conditions.range(of: current, now: now, in: bytes.span) else { continue }
    require(method == .get, "parts are for GET alone")
    for length in [0, 1, 10_000, Int64.max] {
      check(RangeSelection(bytes.span.extracting(value), length: length), length)
    }
  }
  let accepted = AcceptedCodings(of: head, in: bytes.span)
  for coding in AcceptedCodings.Coding.allCases {
    require(0...1000 ~= accepted.weight(of: coding), "a weight is 0 to 1")
  }
  return 0
}

private func check(_ selection: RangeSelection, _ length: Int64) {
  switch selection {
  case .whole, .unsatisfiable: return
  case .single(let range):
    require(!range.isEmpty && range.lowerBound >= 0, "a part is not empty")
    require(range.upperBound <= length, "a part lies in the whole")
  case .several(let ranges):
    require(ranges.count > 1 && ranges.count <= RangeSelection.rangeCount, "parts are few")
    for range in ranges { check(.single(range), length) }
    require(
      ranges.reduce(0) { $0 + Int64($1.count) } <= length,
      "parts are not more than the whole"
    )
  }
}
