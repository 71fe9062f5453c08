public import JSON
import MartletBytes

/// The key of an account, with what it takes to sign.
public struct ACMEKey: Sendable {
  /// The first number of its point on P-256, 32 bytes.
  public var x: [UInt8]
  /// The second number.
  public var y: [UInt8]
  /// Signs with ECDSA on P-256 and SHA-256: 64 bytes, or nil when that fails.
  public var sign: @Sendable ([UInt8]) -> [UInt8]?
  /// SHA-256, or nil when that fails.
  public var digest: @Sendable ([UInt8]) -> [UInt8]?
  /// HMAC with SHA-256 of the second with the key that comes first, or nil when that fails.
  public var authenticate: @Sendable ([UInt8], [UInt8]) -> [UInt8]?

  /// Creates a key.
  public init(
    x: [UInt8],
    y: [UInt8],
    sign: @escaping @Sendable ([UInt8]) -> [UInt8]?,
    digest: @escaping @Sendable ([UInt8]) -> [UInt8]?,
    authenticate: @escaping @Sendable ([UInt8], [UInt8]) -> [UInt8]?
  ) {
    self.x = x
    self.y = y
    self.sign = sign
    self.digest = digest
    self.authenticate = authenticate
  }

  /// The part that everybody may know, with its members in the order that ``thumbprint`` needs.
  ///
  /// - Source: RFC 7517; RFC 7638, section 3.
  public var publicKey: JSONValue {
    .object([
      "crv": .text("P-256"), "kty": .text("EC"), "x": .text(Self.text(x)),
      "y": .text(Self.text(y)),
    ])
  }

  /// What names the key: the SHA-256 of ``publicKey``, as text; nil when it cannot be computed.
  ///
  /// - Source: RFC 7638.
  public var thumbprint: String? { digest(Array(publicKey.compact.utf8)).map(Self.text) }

  /// What answers a challenge with this token.
  ///
  /// - Source: RFC 8555, section 8.1.
  public func authorization(of token: String) -> String? { thumbprint.map { "\(token).\($0)" } }

  /// Bytes as text that stands in URLs as it is.
  static func text(_ bytes: [UInt8]) -> String {
    String(decoding: Base64URL.encoded(bytes.span), as: UTF8.self)
  }

  /// The bytes of such a text; nil: it is none.
  static func bytes(_ text: String) -> [UInt8]? { Base64URL.decoded(Array(text.utf8).span) }
}

/// Who signs a request: a key by itself, or an account.
enum ACMESender: Hashable, Sendable {
  case key
  case account(String)
}

extension ACMEKey {
  /// A signed request; without a payload it asks for what is there.
  ///
  /// - Returns: The body, or nil when it cannot be signed.
  /// - Source: RFC 8555, section 6.2; RFC 7515, section 7.2.2.
  func signed(
    _ payload: JSONValue?,
    to url: String,
    by sender: ACMESender,
    nonce: String
  ) -> [UInt8]? {
    var head = [JSONValue.Member("alg", .text("ES256"))]
    switch sender {
    case .key: head.append(JSONValue.Member("jwk", publicKey))
    case .account(let name): head.append(JSONValue.Member("kid", .text(name)))
    }
    head.append(JSONValue.Member("nonce", .text(nonce)))
    head.append(JSONValue.Member("url", .text(url)))
    let parts = Self.parts(.object(head), payload)
    return sign(parts.signed).map { Array(Self.body(parts, $0).compact.utf8) }
  }

  /// What binds an account to one that the authority knows already.
  ///
  /// - Source: RFC 8555, section 7.3.4.
  func binding(_ account: ACMEExternalAccount, to url: String) -> JSONValue? {
    let head = JSONValue.object([
      "alg": .text("HS256"), "kid": .text(account.name), "url": .text(url),
    ])
    let parts = Self.parts(head, publicKey)
    return authenticate(account.key, parts.signed).map { Self.body(parts, $0) }
  }

  private typealias Parts = (head: String, payload: String, signed: [UInt8])

  private static func parts(_ head: JSONValue, _ payload: JSONValue?) -> Parts {
    let head = text(Array(head.compact.utf8))
    let payload = payload.map { text(Array($0.compact.utf8)) } ?? ""
    return (head, payload, Array("\(head).\(payload)".utf8))
  }

  private static func body(_ parts: Parts, _ signature: [UInt8]) -> JSONValue {
    .object([
      "protected": .text(parts.head), "payload": .text(parts.payload),
      "signature": .text(text(signature)),
    ])
  }
}

/// An account that somebody has with an authority by other means.
public struct ACMEExternalAccount: Hashable, Sendable {
  /// What the authority calls it.
  public var name: String
  /// The key that it has given: a secret.
  public var key: [UInt8]

  /// Creates an account.
  public init(name: String, key: [UInt8]) {
    self.name = name
    self.key = key
  }

  /// Creates an account whose key is written as text, as authorities give it.
  ///
  /// - Returns: nil for a text that is none.
  public init?(name: String, keyText: String) {
    var text = keyText
    while text.hasSuffix("=") { text.removeLast() }
    let bytes = text.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "+"): UInt8(ascii: "-")
      case UInt8(ascii: "/"): UInt8(ascii: "_")
      default: byte
      }
    }
    guard !bytes.isEmpty, let key = Base64URL.decoded(bytes.span) else { return nil }
    self.init(name: name, key: key)
  }
}
