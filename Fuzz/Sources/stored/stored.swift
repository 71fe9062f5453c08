import HTTPCaching
import Invariants

/// Called by libFuzzer with each input: the head of a record as a disk may give it back.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzStored(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let given = Array(unsafe input(start, count).prefix(200_000))
  _ = StoredRecord.headCount(given.span)
  // As it came it is refused, but for what was written so; with its sum mended it is read or refused.
  for bytes in [given, StoredRecord.sealed(given, at: 7)] {
    guard let record = StoredRecord(encoded: bytes, at: 7) else { continue }
    require(record.encoded(at: 7) == bytes, "what is read is what was written")
    require(StoredRecord(encoded: bytes, at: 8) == nil, "a record is of one place")
    require(
      record.tag.upperBound <= record.lines.count
        && record.lastModified.upperBound <= record.lines.count,
      "validators are in the fields"
    )
    for milliseconds in [Int64.min, 0, 1_790_000_000_000, .max] {
      let now = Moment(milliseconds: milliseconds)
      _ = (record.terms.age(at: now), record.terms.timeToLive(at: now))
      _ = (record.terms.isFresh(at: now), record.terms.isOfUse(until: .max))
    }
  }
  return 0
}
