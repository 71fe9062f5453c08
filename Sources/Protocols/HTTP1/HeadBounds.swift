import HTTPMessage

/// The limits of a head as its parser needs them: none is so large that a sum of two could overflow,
/// or that an offset would not fit the two bytes of a range.
struct HeadBounds: Sendable {
  let headBytes: Int
  let lineBytes: Int
  let requestLineBytes: Int
  let targetBytes: Int
  let methodBytes: Int
  let nameBytes: Int
  let fieldCount: Int
  let optionCount: Int

  init(_ limits: HeadLimits) {
    func bounded(_ limit: Int) -> Int { min(max(limit, 0), 65_535) }
    headBytes = bounded(limits.headBytes)
    lineBytes = bounded(limits.lineBytes)
    targetBytes = bounded(limits.targetBytes)
    methodBytes = bounded(limits.methodBytes)
    nameBytes = bounded(limits.fieldNameBytes)
    fieldCount = bounded(limits.fieldCount)
    optionCount = bounded(limits.connectionOptionCount)
    // Two spaces and the version stand besides the method and the target.
    requestLineBytes = methodBytes + targetBytes + 10
  }
}
