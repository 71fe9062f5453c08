extension ValueKind where Value == Int {
  /// A whole number.
  public static func count(within bounds: ClosedRange<Int>) -> ValueKind {
    ValueKind(
      "NUMBER",
      bounds: "\(bounds.lowerBound) to \(bounds.upperBound)",
      read: { text throws(ValueError) in
        guard let number = wholeNumber(text) else {
          throw ValueError("`\(text)` is not a whole number", mend: String(bounds.lowerBound))
        }
        try check(number, within: bounds, text, String.init)
        return number
      },
      write: { String($0) },
      json: { value, _ in .number(value) }
    )
  }

  /// A number of bytes with its unit; 1 KB has 1,024 bytes.
  public static func size(within bounds: ClosedRange<Int>) -> ValueKind {
    ValueKind(
      "SIZE",
      bounds: "\(sizeText(bounds.lowerBound)) to \(sizeText(bounds.upperBound))",
      read: { text throws(ValueError) in
        let (digits, unit) = split(text)
        guard let number = wholeNumber(digits) else {
          throw ValueError("`\(text)` is not a size", mend: sizeText(bounds.lowerBound))
        }
        guard let factor = sizeUnits.first(where: { $0.words.contains(unit.lowercased()) })?.bytes
        else {
          throw ValueError(
            unit.isEmpty ? "`\(text)` has no unit" : "`\(unit)` is not a unit of size",
            mend: "\(digits)KB"
          )
        }
        let (bytes, overflows) = number.multipliedReportingOverflow(by: factor)
        try check(overflows ? .max : bytes, within: bounds, text, sizeText)
        return bytes
      },
      write: { sizeText($0) },
      json: { value, _ in .text(sizeText(value)) }
    )
  }
}

extension ValueKind where Value == Duration {
  /// A time with its unit: `ms`, `s`, `m`, `h` or `d`.
  public static func duration(within bounds: ClosedRange<Duration>) -> ValueKind {
    ValueKind(
      "DURATION",
      bounds: "\(durationText(bounds.lowerBound)) to \(durationText(bounds.upperBound))",
      read: { text throws(ValueError) in
        let (digits, unit) = split(text)
        guard let number = wholeNumber(digits) else {
          throw ValueError("`\(text)` is not a time", mend: durationText(bounds.lowerBound))
        }
        guard let factor = durationUnits.first(where: { $0.word == unit })?.milliseconds else {
          throw ValueError(
            unit.isEmpty ? "`\(text)` has no unit" : "`\(unit)` is not a unit of time",
            mend: "\(digits)s"
          )
        }
        let (milliseconds, overflows) = number.multipliedReportingOverflow(by: factor)
        guard !overflows, milliseconds <= 1 << 50 else {
          throw ValueError("`\(text)` is too long", mend: durationText(bounds.upperBound))
        }
        let duration = Duration.milliseconds(milliseconds)
        try check(duration, within: bounds, text, durationText)
        return duration
      },
      write: { durationText($0) },
      json: { value, _ in .text(durationText(value)) }
    )
  }
}

private let sizeUnits: [(words: [String], text: String, bytes: Int)] = [
  (["gb", "g"], "GB", 1 << 30), (["mb", "m"], "MB", 1 << 20), (["kb", "k"], "KB", 1 << 10),
  (["b"], "B", 1),
]

private let durationUnits: [(word: String, milliseconds: Int)] = [
  ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
]

private func sizeText(_ bytes: Int) -> String {
  for unit in sizeUnits where bytes >= unit.bytes && bytes % unit.bytes == 0 {
    return "\(bytes / unit.bytes)\(unit.text)"
  }
  return "\(bytes)B"
}

private func durationText(_ duration: Duration) -> String {
  let (seconds, attoseconds) = duration.components
  let milliseconds = Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
  // Up to 90 seconds and 90 minutes the smaller unit reads better.
  if milliseconds % 1000 == 0, milliseconds <= 90_000, milliseconds > 0 {
    return "\(milliseconds / 1000)s"
  }
  for unit in durationUnits where milliseconds >= unit.milliseconds {
    if milliseconds % unit.milliseconds == 0 {
      return "\(milliseconds / unit.milliseconds)\(unit.word)"
    }
  }
  return "\(milliseconds)ms"
}

private func split(_ text: String) -> (digits: String, unit: String) {
  let digits = text.prefix { ("0"..."9").contains($0) }
  return (String(digits), String(text[digits.endIndex...]))
}

private func wholeNumber(_ text: String) -> Int? {
  guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
  else { return nil }
  return Int(text)
}

private func check<Value: Comparable>(
  _ value: Value,
  within bounds: ClosedRange<Value>,
  _ text: String,
  _ write: (Value) -> String
) throws(ValueError) {
  if value < bounds.lowerBound {
    let least = write(bounds.lowerBound)
    throw ValueError("`\(text)` is less than the least allowed, \(least)", mend: least)
  }
  if value > bounds.upperBound {
    let most = write(bounds.upperBound)
    throw ValueError("`\(text)` is more than the most allowed, \(most)", mend: most)
  }
}
