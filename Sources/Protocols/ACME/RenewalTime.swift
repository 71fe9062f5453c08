import JSON

/// What an authority says about the time at which to renew a certificate.
///
/// - Source: RFC 9773, section 4.2.
public struct RenewalInformation: Hashable, Sendable {
  /// When it would like that, in seconds since 1970.
  public var window: ClosedRange<Int64>
  /// Where people read why; empty: nowhere.
  public var explanation: String
  /// When it wants to be asked again, in seconds from the answer on.
  public var askAgain: Int

  /// How long it may take until the authority is asked again, in seconds.
  ///
  /// RFC 9773, section 4.3.2, wants a bound on both sides.
  public static let askAgainSeconds = 60...86_400
  /// What counts where it does not say, in seconds.
  public static let usualAskAgain = 21_600

  /// Reads an answer; nil when it is not in form.
  public init?(_ answer: ACMEAnswer) {
    guard answer.status == 200, let object = answer.object,
      let start = object["suggestedWindow"]?["start"]?.text.flatMap(Self.seconds),
      let end = object["suggestedWindow"]?["end"]?.text.flatMap(Self.seconds), start < end
    else { return nil }
    window = start...end
    explanation = object["explanationURL"]?.text.flatMap(ACMEDirectory.checked) ?? ""
    askAgain = Self.askAgainSeconds.clamp(answer.retryAfter ?? Self.usualAskAgain)
  }

  /// A moment of the window, chosen by a number: the same for the same one.
  public func moment(_ random: UInt64) -> Int64 {
    window.lowerBound + Int64(random % UInt64(window.upperBound - window.lowerBound + 1))
  }

  /// What the authority is asked, of a certificate that it calls so.
  public static func request(_ directory: ACMEDirectory, certificate: String) -> ACMERequest? {
    guard let base = directory.renewalInfo else { return nil }
    let url = base.hasSuffix("/") ? base + certificate : "\(base)/\(certificate)"
    return ACMEDirectory.checked(url).map { ACMERequest(.get, $0) }
  }

  /// What the authority calls a certificate.
  ///
  /// - Source: RFC 9773, section 4.1.
  public static func name(authority: [UInt8], serial: [UInt8]) -> String {
    "\(ACMEKey.text(authority)).\(ACMEKey.text(serial))"
  }

  /// The seconds since 1970 of a time as `2026-01-02T04:00:00Z`, or with the difference of its zone.
  ///
  /// - Source: RFC 3339, section 5.6.
  public static func seconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int64? {
      guard range.upperBound <= bytes.count else { return nil }
      var result: Int64 = 0
      for byte in bytes[range] {
        guard (0x30...0x39).contains(byte) else { return nil }
        result = result * 10 + Int64(byte - 0x30)
      }
      return result
    }
    guard (20...40).contains(bytes.count), bytes[4] == UInt8(ascii: "-"),
      bytes[7] == UInt8(ascii: "-"), bytes[10] | 0x20 == UInt8(ascii: "t"),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), let year = number(0..<4),
      let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month),
      (1...31).contains(day), hour < 24, minute < 60, second <= 60, (1970...9998).contains(year)
    else { return nil }
    var rest = bytes[19...]
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst().drop { (0x30...0x39).contains($0) }
    }
    var zone: Int64 = 0
    switch rest.first {
    case UInt8(ascii: "Z"), UInt8(ascii: "z"): guard rest.count == 1 else { return nil }
    case UInt8(ascii: "+"), UInt8(ascii: "-"):
      let start = rest.startIndex
      guard rest.count == 6, bytes[start + 3] == UInt8(ascii: ":"),
        let hours = number(start + 1..<start + 3), let minutes = number(start + 4..<start + 6),
        hours < 24, minutes < 60
      else { return nil }
      zone = (hours * 60 + minutes) * (rest.first == UInt8(ascii: "-") ? -60 : 60)
    default: return nil
    }
    return days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zone
  }

  /// A time as ``seconds(_:)`` reads it.
  ///
  /// - Source: RFC 3339, section 5.6.
  public static func text(_ seconds: Int64) -> String {
    let day = seconds >= 0 ? seconds / 86_400 : 0
    let rest = seconds >= 0 ? seconds % 86_400 : 0
    // Years that begin in March have their leap day at the end.
    let era = (day + 719_468) / 146_097
    let dayOfEra = day + 719_468 - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let date = dayOfYear - (153 * month + 2) / 5 + 1
    let number = month < 10 ? month + 3 : month - 9
    let year = yearOfEra + era * 400 + (number <= 2 ? 1 : 0)
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "\(year)-\(two(number))-\(two(date))T\(two(rest / 3600)):\(two(rest / 60 % 60)):"
      + "\(two(rest % 60))Z"
  }

  /// The days from the first of 1970 to a day of the Gregorian calendar.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    // Years that begin in March have their leap day at the end.
    let year = month <= 2 ? year - 1 : year
    let era = year / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

/// When a certificate is renewed, and when it is tried again after that has failed.
public enum RenewalTime {
  /// When a certificate is renewed of which nobody says more: after two thirds of its life.
  ///
  /// A little earlier or later by a number, so that many do not come at once; in seconds since 1970.
  public static func usual(_ validity: ClosedRange<Int64>, random: UInt64) -> Int64 {
    let life = validity.upperBound - validity.lowerBound
    let spread = life / 20
    let shift = spread > 0 ? Int64(random % UInt64(spread * 2 + 1)) - spread : 0
    return validity.lowerBound + life / 3 * 2 + shift
  }

  /// When a certificate is renewed: as the authority would like, as far as it is good until then.
  public static func next(
    _ validity: ClosedRange<Int64>,
    suggested: RenewalInformation?,
    random: UInt64
  ) -> Int64 {
    guard let suggested else { return usual(validity, random: random) }
    // Whatever it says: a certificate that has ended is of use to nobody.
    let life = validity.upperBound - validity.lowerBound
    return min(suggested.moment(random), validity.upperBound - life / 20)
  }

  /// How long to wait after so many failures, one behind the other, in seconds: from one minute to one
  /// day, a little less or more by a number, and never less than the authority asks for.
  public static func pause(
    afterFailures count: Int,
    retryAfter: Int? = nil,
    random: UInt64
  ) -> Int64 {
    let steps: [Int64] = [60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200]
    let step = count < 1 ? 0 : count <= steps.count ? steps[count - 1] : 86_400
    let spread = step / 4
    let pause = step + (spread > 0 ? Int64(random % UInt64(spread * 2 + 1)) - spread : 0)
    return max(pause, Int64(ACMELimits.restSeconds.clamp(retryAfter ?? 0)))
  }
}
