/// How long a call may take, as its client says in `grpc-timeout`.
public struct CallTimeout: Hashable, Sendable {
  /// The time in nanoseconds; what is more than 292 years is that.
  public var nanoseconds: Int64

  /// Creates a time.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Reads one to eight digits and a unit: `H`, `M`, `S`, `m`, `u` or `n`; nil is no time.
  public init?(_ text: Span<UInt8>) {
    guard 2...9 ~= text.count else { return nil }
    var number: Int64 = 0
    for index in 0..<text.count - 1 {
      let digit = text[index] &- 0x30
      guard digit < 10 else { return nil }
      number = number * 10 + Int64(digit)
    }
    let unit: Int64
    switch text[text.count - 1] {
    case 0x48: unit = 3_600_000_000_000
    case 0x4D: unit = 60_000_000_000
    case 0x53: unit = 1_000_000_000
    case 0x6D: unit = 1_000_000
    case 0x75: unit = 1_000
    case 0x6E: unit = 1
    default: return nil
    }
    let (product, isTooLong) = number.multipliedReportingOverflow(by: unit)
    nanoseconds = isTooLong ? .max : product
  }

  /// The value of `grpc-timeout`, in the finest unit that has eight digits for it, rounded up: a server
  /// must not give up before its client does.
  public var text: [UInt8] {
    let rest = max(0, nanoseconds)
    for (unit, name) in Self.units {
      let number = rest / unit + (rest % unit == 0 ? 0 : 1)
      if number < 100_000_000 { return Array("\(number)\(name)".utf8) }
    }
    return Array("99999999H".utf8)
  }

  private static let units: [(Int64, Character)] = [
    (1, "n"), (1_000, "u"), (1_000_000, "m"), (1_000_000_000, "S"), (60_000_000_000, "M"),
    (3_600_000_000_000, "H"),
  ]
}
