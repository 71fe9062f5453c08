/// When a responder is asked about a certificate.
public enum StapleTime {
  /// How far clocks may differ, in seconds.
  public static let clockSeconds: Int64 = 300
  /// The longest time between two questions, in seconds: a revocation is noticed within a day.
  private static let longestSeconds: Int64 = 86_400
  /// The shortest one, in seconds, for a response that counts long enough.
  private static let shortestSeconds: Int64 = 300

  /// When it is asked anew that has said something that counts for `validity`: after half to three quarters
  /// of that by a number, so that many do not come at once, and within a day; in seconds since 1970.
  public static func next(_ validity: ClosedRange<Int64>, now: Int64, random: UInt64) -> Int64 {
    let life = validity.upperBound - validity.lowerBound
    let moment = validity.lowerBound + life / 2 + Int64(random % UInt64(life / 4 + 1))
    let least = min(shortestSeconds, max(1, life / 4))
    return min(max(moment, now + least), now + longestSeconds)
  }

  /// How long to wait after so many failures, one behind the other, in seconds: from a minute to an hour, a
  /// little more or less by a number, and never less than the responder asks for, up to a day.
  public static func pause(
    afterFailures count: Int,
    retryAfter: Int? = nil,
    random: UInt64
  ) -> Int64 {
    let steps: [Int64] = [60, 120, 300, 600, 1800]
    let step = count < 1 ? 0 : count <= steps.count ? steps[count - 1] : 3600
    let spread = step / 4
    let pause = step + (spread > 0 ? Int64(random % UInt64(spread * 2 + 1)) - spread : 0)
    return max(pause, min(Int64(clamping: retryAfter ?? 0), longestSeconds))
  }
}
