import MartletTelemetry

extension RequestID {
  /// Its 32 hexadecimal digits.
  var text: String {
    let halves = [high, low].map { String($0, radix: 16) }
    return halves.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined()
  }
}
