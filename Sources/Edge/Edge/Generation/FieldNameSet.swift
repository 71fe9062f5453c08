import HTTPMessage
import MartletBytes

/// Names of fields that are to be left out: the well-known ones as bits, others by their bytes.
struct FieldNameSet: Sendable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0
  private var others: [[UInt8]] = []

  init(_ names: [FieldName] = []) {
    for name in names { insert(name) }
  }

  mutating func insert(_ name: FieldName) {
    if name.rawValue < 64 {
      low |= 1 << UInt64(name.rawValue)
    } else {
      high |= 1 << UInt64(name.rawValue - 64)
    }
  }

  /// Adds a name as it is written in a configuration.
  mutating func insert(_ name: String) {
    let bytes = Array(name.utf8)
    let known = FieldName(bytes.span)
    if known == .other { others.append(bytes) } else { insert(known) }
  }

  /// Whether the line's name is in the set.
  @inline(__always)
  func contains(_ line: FieldLine, in bytes: Span<UInt8>) -> Bool {
    let number = UInt64(line.name.rawValue)
    if line.name != .other {
      return (number < 64 ? low &>> number : high &>> (number &- 64)) & 1 != 0
    }
    return !others.isEmpty && containsOther(bytes.extracting(line.nameRange.range))
  }

  @inline(never)
  private func containsOther(_ name: Span<UInt8>) -> Bool {
    for other in others where equalIgnoringCase(other.span, name) { return true }
    return false
  }
}
