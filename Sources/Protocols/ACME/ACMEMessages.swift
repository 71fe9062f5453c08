import HTTPMessage
public import JSON

/// The bounds of what an authority may say.
public enum ACMELimits {
  /// The longest body of an answer, in bytes.
  public static let answerBytes = 1 << 20
  /// The longest URL.
  public static let urlBytes = 2048
  /// The longest nonce.
  public static let nonceBytes = 512
  /// The longest token of a challenge.
  public static let tokenBytes = 128
  /// The most names in one order.
  public static let nameCount = 100
  /// The longest text of a problem that is shown.
  public static let textCount = 512
  /// The most requests of one conversation.
  public static let requestCount = 400
  /// How often a nonce may be refused one after the other.
  public static let nonceRefusals = 4
  /// How long one wait may be, in seconds.
  public static let waitSeconds = 1...60
  /// How long all waits of a conversation may be, in seconds.
  public static let patienceSeconds = 600
  /// How long an authority may ask to be left alone, in seconds.
  public static let restSeconds = 0...(7 * 86_400)
}

/// What is asked of an authority.
public struct ACMERequest: Hashable, Sendable {
  /// How it is asked.
  public enum Method: String, Hashable, Sendable {
    /// For what everybody may know.
    case get = "GET"
    /// For a nonce.
    case head = "HEAD"
    /// For everything else, signed.
    case post = "POST"
  }

  /// How it is asked.
  public var method: Method
  /// Where.
  public var url: String
  /// The body; empty but for ``Method/post``.
  public var body: [UInt8]

  /// Creates a request.
  public init(_ method: Method, _ url: String, body: [UInt8] = []) {
    self.method = method
    self.url = url
    self.body = body
  }
}

/// What an authority answers.
public struct ACMEAnswer: Hashable, Sendable {
  /// The status of HTTP.
  public var status: Int
  /// The field `Replay-Nonce`.
  public var nonce: String?
  /// The field `Location`.
  public var location: String?
  /// The field `Retry-After`, as seconds from now.
  public var retryAfter: Int?
  /// The body.
  public var body: [UInt8]

  /// Creates an answer.
  public init(
    status: Int,
    nonce: String? = nil,
    location: String? = nil,
    retryAfter: Int? = nil,
    body: [UInt8] = []
  ) {
    self.status = status
    self.nonce = nonce
    self.location = location
    self.retryAfter = retryAfter
    self.body = body
  }

  /// The body as an object; nil for anything else.
  public var object: JSONValue? {
    let limits = JSONLimits(byteCount: ACMELimits.answerBytes, depth: 16, valueCount: 10_000)
    do throws(JSONError) {
      let value = try JSONValue(parsing: body, limits: limits)
      return value.members == nil ? nil : value
    } catch {
      return nil
    }
  }
}

/// Why there is no certificate.
public struct ACMEFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The causes that are told apart.
  public enum Cause: String, Hashable, Sendable, CaseIterable {
    /// The authority has refused.
    case refused
    /// It does not believe that the names are ours.
    case unproven
    /// It wants to be left alone for a while.
    case limited
    /// It did not come to an end in time.
    case slow
    /// It says what is not in form.
    case malformed
    /// It cannot be reached.
    case unreachable
    /// Something failed here.
    case local
  }

  /// The cause.
  public var cause: Cause
  /// What went wrong, on one line.
  public var description: String
  /// How long the authority wants to be left alone, in seconds.
  public var retryAfter: Int?
  /// Whether it says that it does not know the account.
  public var isAboutAccount: Bool

  /// Creates a failure.
  public init(
    _ cause: Cause,
    _ description: String,
    retryAfter: Int? = nil,
    isAboutAccount: Bool = false
  ) {
    self.cause = cause
    self.description = Self.plain(description)
    self.retryAfter = retryAfter
    self.isAboutAccount = isAboutAccount
  }

  /// Reads a problem document.
  ///
  /// - Source: RFC 7807; RFC 8555, section 6.7.
  init(_ answer: ACMEAnswer) {
    let problem = answer.object
    self.init(problem: problem, status: answer.status)
    let seconds = answer.retryAfter.map { ACMELimits.restSeconds.clamp($0) }
    retryAfter = seconds
    if answer.status == 429 || Self.kind(of: problem) == "rateLimited" { cause = .limited }
  }

  init(problem: JSONValue?, status: Int?, cause: Cause = .refused) {
    let kind = Self.kind(of: problem)
    var parts = [kind, problem?["detail"]?.text].compactMap(\.self)
    for inner in (problem?["subproblems"]?.list ?? []).prefix(3) {
      let name = inner["identifier"]?["value"]?.text
      parts.append([name, inner["detail"]?.text].compactMap(\.self).joined(separator: ": "))
    }
    if parts.isEmpty { parts.append("status \(status ?? 0)") }
    self.init(
      cause,
      parts.joined(separator: ": "),
      isAboutAccount: kind == "accountDoesNotExist"
    )
  }

  static func kind(of problem: JSONValue?) -> String? {
    guard let type = problem?["type"]?.text, !type.isEmpty, type != "about:blank" else {
      return nil
    }
    return type.split(separator: ":").last.map(String.init)
  }

  /// One line of visible characters, not too long.
  private static func plain(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.prefix(ACMELimits.textCount).map { scalar in
          (0x20..<0x7F).contains(scalar.value) || scalar.value > 0x9F ? scalar : " "
        }
      )
    )
  }
}

/// Where an authority is asked for what.
///
/// - Source: RFC 8555, section 7.1.1; RFC 9773, section 4.
public struct ACMEDirectory: Hashable, Sendable {
  /// For a nonce.
  public var newNonce: String
  /// For an account.
  public var newAccount: String
  /// For an order.
  public var newOrder: String
  /// For a revocation; nil: it takes nothing back.
  public var revokeCertificate: String?
  /// For the time at which to renew; nil: it does not tell.
  public var renewalInfo: String?
  /// Whether an account needs one that was made by other means.
  public var needsExternalAccount: Bool

  /// Reads a directory; nil when it is not in form.
  public init?(_ object: JSONValue?) {
    guard let newNonce = Self.url(object?["newNonce"]),
      let newOrder = Self.url(object?["newOrder"]),
      let newAccount = Self.url(object?["newAccount"])
    else { return nil }
    self.newNonce = newNonce
    self.newAccount = newAccount
    self.newOrder = newOrder
    revokeCertificate = Self.url(object?["revokeCert"])
    renewalInfo = Self.url(object?["renewalInfo"])
    needsExternalAccount = object?["meta"]?["externalAccountRequired"]?.flag ?? false
  }

  /// A URL that may be asked; nil for anything else.
  static func url(_ value: JSONValue?) -> String? { value?.text.flatMap(checked) }

  /// The URL, if it has the form of one that may be asked.
  static func checked(_ url: String) -> String? {
    guard url.hasPrefix("https://"), url.utf8.count <= ACMELimits.urlBytes,
      url.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { return nil }
    return url
  }
}

/// How it is proven that a name is ours.
public enum ACMEProofKind: String, Hashable, Sendable, CaseIterable {
  /// By an answer to a request.
  case http = "http-01"
  /// By a certificate.
  case tls = "tls-alpn-01"
  /// By a record of the name.
  case dns = "dns-01"
}

/// What is to be shown so that a name is believed to be ours.
public struct ACMEProof: Hashable, Sendable {
  /// How it is shown.
  public var kind: ACMEProofKind
  /// The name or the address, without `*.`.
  public var name: String
  /// What the authority asks for.
  public var token: String
  /// What is answered over HTTP.
  public var authorization: String
  /// The SHA-256 of that: what stands in a certificate.
  public var digest: [UInt8]

  /// The name of the record.
  public var recordName: String { Self.recordName(of: name) }
  /// What stands in the record.
  public var recordText: String { Self.recordText(digest) }

  /// The name of the record of a name.
  ///
  /// - Source: RFC 8555, section 8.4.
  public static func recordName(of name: String) -> String { "_acme-challenge.\(name)" }

  /// What stands in a record for a digest.
  ///
  /// - Source: RFC 8555, section 8.4.
  public static func recordText(_ digest: [UInt8]) -> String { ACMEKey.text(digest) }

  /// Where a request for the answer over HTTP goes; the token stands behind it.
  public static let path = "/.well-known/acme-challenge/"

  /// Whether a token has the form that the standard gives it.
  public static func isToken(_ text: some StringProtocol) -> Bool {
    (1...ACMELimits.tokenBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
        default: false
        }
      }
  }
}

extension ClosedRange<Int> {
  /// The nearest number within.
  func clamp(_ number: Int) -> Int { Swift.min(Swift.max(number, lowerBound), upperBound) }
}
