public import JSON
import MartletBytes

/// The key of a client's account, as far as everybody may know it.
///
/// - Source: RFC 7517; RFC 7518, section 6.
public enum ACMEClientKey: Hashable, Sendable {
  /// A point on P-256, with numbers of 32 bytes, for ES256; or on P-384, with 48, for ES384.
  case point(x: [UInt8], y: [UInt8])
  /// A modulus and an exponent, for RS256.
  case modulus(n: [UInt8], e: [UInt8])

  /// The curves, and how long numbers on them are.
  private static let widths = ["P-256": 32, "P-384": 48]
  /// How long a modulus may be: 2,048 to 4,096 bits.
  private static let modulusBytes = 256...512

  /// Reads a key; nil for another kind, a weak one, or one that is not in form.
  public init?(_ json: JSONValue?) {
    switch json?["kty"]?.text {
    case "EC":
      guard let width = Self.widths[json?["crv"]?.text ?? ""], let x = Self.bytes(json?["x"]),
        x.count == width, let y = Self.bytes(json?["y"]), y.count == width
      else { return nil }
      self = .point(x: x, y: y)
    case "RSA":
      guard let n = Self.bytes(json?["n"]), let e = Self.bytes(json?["e"]) else { return nil }
      self.init(n: n, e: e)
    default: return nil
    }
    guard json?["d"] == nil else { return nil }
  }

  private init?(n: [UInt8], e: [UInt8]) {
    guard Self.modulusBytes.contains(n.count), n[0] != 0, (1...8).contains(e.count), e[0] != 0
    else { return nil }
    self = .modulus(n: n, e: e)
  }

  private static func bytes(_ value: JSONValue?) -> [UInt8]? {
    value?.text.flatMap { Base64URL.decoded(Array($0.utf8).span) }
  }

  /// What signatures with it are called.
  public var algorithm: String {
    switch self {
    case .point(let x, _): x.count == 48 ? "ES384" : "ES256"
    case .modulus: "RS256"
    }
  }

  /// The key with its members in the order that its thumbprint needs.
  ///
  /// - Source: RFC 7638, section 3.2.
  public var json: JSONValue {
    switch self {
    case .point(let x, let y):
      .object([
        "crv": .text(x.count == 48 ? "P-384" : "P-256"), "kty": .text("EC"),
        "x": .text(ACMEKey.text(x)), "y": .text(ACMEKey.text(y)),
      ])
    case .modulus(let n, let e):
      .object(["e": .text(ACMEKey.text(e)), "kty": .text("RSA"), "n": .text(ACMEKey.text(n))])
    }
  }

  /// The key as the last part of a URL: who has signed is known without an account being kept.
  public var name: String {
    switch self {
    case .point(let x, let y): ACMEKey.text([1] + x + y)
    case .modulus(let n, let e): ACMEKey.text([2, UInt8(e.count)] + e + n)
    }
  }

  /// Reads what ``name`` has written.
  public init?(name: some StringProtocol) {
    guard name.utf8.count <= 1024, let bytes = Base64URL.decoded(Array(name.utf8).span) else {
      return nil
    }
    switch bytes.first {
    case 1 where Self.widths.values.contains((bytes.count - 1) / 2) && bytes.count % 2 == 1:
      let width = bytes.count / 2
      self = .point(x: Array(bytes[1...width]), y: Array(bytes[(width + 1)...]))
    case 2 where bytes.count > 2:
      let count = Int(bytes[1])
      guard bytes.count > 2 + count else { return nil }
      self.init(n: Array(bytes[(2 + count)...]), e: Array(bytes[2..<2 + count]))
    default: return nil
    }
    // Another spelling of the same bytes would be another account.
    guard self.name == name else { return nil }
  }
}

/// What a client asks of an authority, as HTTP says it.
public struct ACMECall: Hashable, Sendable {
  /// The method.
  public var method: String
  /// What stands before the path in every URL of the authority, as the client writes it.
  public var base: String
  /// The path behind it.
  public var path: String
  /// The field Content-Type; empty: it is not there.
  public var contentType: String
  /// The body.
  public var body: [UInt8]

  /// The longest body that is read.
  public static let bodyBytes = 64 << 10

  /// Creates a call.
  public init(
    _ method: String,
    base: String,
    path: String,
    contentType: String = "",
    body: [UInt8] = []
  ) {
    self.method = method
    self.base = base
    self.path = path
    self.contentType = contentType
    self.body = body
  }
}

/// What an authority answers.
public struct ACMEReply: Hashable, Sendable {
  /// The status of HTTP.
  public var status: Int
  /// Fields besides those of the body.
  public var fields: [String: String]
  /// The media type of the body.
  public var contentType: String
  /// The body.
  public var body: [UInt8]
  /// What has to be done before this is sent; nil: nothing.
  public var revocation: ACMERevocation?

  init(_ status: Int, _ json: JSONValue? = nil, contentType: String = "application/json") {
    self.status = status
    fields = [:]
    self.contentType = contentType
    body = json.map { Array($0.compact.utf8) } ?? []
  }

  /// An answer with a document.
  public init(document: [UInt8], contentType: String, fields: [String: String] = [:]) {
    status = 200
    self.fields = fields
    self.contentType = contentType
    body = document
  }

  /// Says that a client does not get what it asks for.
  public init(_ problem: ACMEProblem) {
    self.init(problem.status, problem.json, contentType: "application/problem+json")
  }

  /// Says that what has to be done cannot be done.
  public mutating func refuse(_ problem: ACMEProblem) {
    status = problem.status
    contentType = "application/problem+json"
    body = Array(problem.json.compact.utf8)
    revocation = nil
  }
}

/// Why a client does not get what it asks for.
///
/// - Source: RFC 8555, section 6.7.
public struct ACMEProblem: Error, Hashable, Sendable {
  /// The status of HTTP.
  public var status: Int
  /// The last part of the type.
  public var kind: String
  /// What people read.
  public var detail: String

  /// Creates a problem.
  public init(_ status: Int, _ kind: String, _ detail: String) {
    self.status = status
    self.kind = kind
    self.detail = detail
  }

  /// The problem as an object.
  public var json: JSONValue {
    .object([
      "type": .text("urn:ietf:params:acme:error:\(kind)"), "detail": .text(detail),
      "status": .number(status),
    ])
  }
}

/// A request that a client has signed, taken apart; who has signed it is not proven yet.
///
/// - Source: RFC 8555, section 6.2; RFC 7515, section 7.2.2.
struct ACMESignedRequest: Sendable {
  var key: ACMEClientKey
  /// Whether it names an account instead of the key.
  var isByAccount: Bool
  var nonce: String
  var url: String
  /// Empty: it asks for what is there.
  var payload: [UInt8]
  var signed: [UInt8]
  var signature: [UInt8]

  private static let limits = JSONLimits(
    byteCount: ACMECall.bodyBytes,
    depth: 6,
    valueCount: 400
  )

  static func object(_ bytes: [UInt8]) -> JSONValue? {
    do throws(JSONError) {
      let value = try JSONValue(parsing: bytes, limits: limits)
      return value.members == nil ? nil : value
    } catch {
      return nil
    }
  }

  /// - Throws: ``ACMEProblem``.
  init(_ body: [UInt8], accounts prefix: String) throws(ACMEProblem) {
    func malformed(_ text: String) -> ACMEProblem { ACMEProblem(400, "malformed", text) }
    guard let json = Self.object(body), let head = json["protected"]?.text,
      let content = json["payload"]?.text, let sign = json["signature"]?.text,
      let headBytes = Base64URL.decoded(Array(head.utf8).span),
      let payload = Base64URL.decoded(Array(content.utf8).span),
      let signature = Base64URL.decoded(Array(sign.utf8).span),
      let header = Self.object(headBytes)
    else { throw malformed("the body is no signed request") }
    // A second set of fields that nobody has signed must not be there. RFC 8555, section 6.2.
    guard json["header"] == nil, header["crit"] == nil, header["b64"] == nil else {
      throw malformed("the signed request has fields that are not taken")
    }
    guard let nonce = header["nonce"]?.text else {
      throw ACMEProblem(400, "badNonce", "there is no nonce")
    }
    guard let url = header["url"]?.text else { throw malformed("the URL is not signed") }
    switch (header["jwk"], header["kid"]?.text) {
    case (let json?, nil):
      guard let key = ACMEClientKey(json) else {
        throw ACMEProblem(
          400,
          "badPublicKey",
          "keys are those of P-256 and P-384, or RSA of 2048 to 4096 bits"
        )
      }
      self.key = key
      isByAccount = false
    case (nil, let account?):
      guard account.hasPrefix(prefix),
        let key = ACMEClientKey(name: account.dropFirst(prefix.count))
      else { throw ACMEProblem(400, "accountDoesNotExist", "there is no such account") }
      self.key = key
      isByAccount = true
    default: throw malformed("a request names either its key or its account")
    }
    guard header["alg"]?.text == key.algorithm else {
      throw ACMEProblem(400, "badSignatureAlgorithm", "the key signs with \(key.algorithm)")
    }
    self.nonce = nonce
    self.url = url
    self.payload = payload
    self.signature = signature
    signed = Array("\(head).\(content)".utf8)
  }
}
