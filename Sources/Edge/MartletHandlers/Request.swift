import HTTPMessage
public import JSON
import MartletBytes
public import Sessions

/// A request, as a handler sees it; it belongs to one loop.
public final class Request {
  /// What is known of a request before its body.
  public struct Facts: Sendable {
    /// `GET` and its like.
    public var method = "GET"
    /// The path, with escapes where it has some.
    public var rawPath = "/"
    /// What stands behind the `?`, as it came.
    public var query = ""
    /// The fields in their order.
    public var fields: [(name: String, value: String)] = []
    /// Who is asked: the host, perhaps with a port.
    public var host = ""
    /// `http` or `https`.
    public var scheme = "http"
    /// The client's address, also behind a trusted proxy.
    public var client = ""
    /// By what the log names the request: 32 hexadecimal digits.
    public var identifier = ""
    /// Whether the client asks for a WebSocket.
    public var wantsWebSocket = false

    /// The facts of a request that nothing is known of.
    public init() {}
  }

  /// What is known of it.
  public let facts: Facts
  /// What a route's pattern has found in the path.
  public var parameters: [String: String] = [:]
  /// The client's session, where the route has sessions.
  public let session: Session?
  /// What brings its body.
  public let carrier: any RequestCarrier
  private var hasEnded = false

  /// A request of a carrier.
  public init(_ facts: Facts, of carrier: any RequestCarrier, session: Session? = nil) {
    (self.facts, self.carrier, self.session) = (facts, carrier, session)
  }

  /// `GET` and its like.
  public var method: String { facts.method }
  /// The path, without escapes; an escaped slash is one like any other.
  public var path: String { PathText.decoded(facts.rawPath) }

  /// The value of the first field of this name, whatever case it is written in.
  public subscript(name: String) -> String? {
    facts.fields.first { $0.name.utf8.elementsEqual(name.utf8, by: Self.isSame) }?.value
  }

  private static func isSame(_ left: UInt8, _ right: UInt8) -> Bool {
    lowercased(left) == lowercased(right)
  }

  /// The value of the first parameter of the query with this name.
  public func query(_ name: String) -> String? {
    for pair in facts.query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if FormText.decoded(parts[0]) == name {
        return parts.count > 1 ? FormText.decoded(parts[1]) : ""
      }
    }
    return nil
  }

  /// The value of a cookie.
  public func cookie(_ name: String) -> String? {
    for field in facts.fields where field.name.lowercased() == "cookie" {
      let bytes = Array(field.value.utf8)
      let wanted = Array(name.utf8)
      if let range = CookiePairs.value(of: wanted.span, in: bytes.indices, of: bytes.span) {
        return String(decoding: bytes[range], as: UTF8.self)
      }
    }
    return nil
  }

  // MARK: The body

  /// The next piece of the body, as it comes; nil: it has ended.
  ///
  /// - Throws: ``HandlerFault/client(_:)``, also when it is longer than `body_limit`.
  public func nextPiece() async throws(HandlerFault) -> [UInt8]? {
    guard !hasEnded else { return nil }
    let piece = try await carrier.receive()
    hasEnded = piece == nil
    return piece
  }

  /// All of the body.
  ///
  /// - Throws: ``Refusal`` with 413 when it has more than `limit` bytes, or ``HandlerFault``.
  public func body(upTo limit: Int = 1 << 20) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while let piece = try await nextPiece() {
      guard bytes.count + piece.count <= limit else {
        throw Refusal(413, "a body of more than \(limit) bytes")
      }
      bytes += piece
    }
    return bytes
  }

  /// The body as JSON.
  ///
  /// - Throws: ``Refusal`` with 400 when it is none, with 413 when it is too long, or ``HandlerFault``.
  public func json(upTo limit: Int = 1 << 20) async throws -> JSONValue {
    let bytes = try await body(upTo: limit)
    do throws(JSONError) {
      return try JSONValue(parsing: bytes)
    } catch {
      throw Refusal(400, "the body is not JSON: \(error)")
    }
  }
}

/// Texts of paths.
enum PathText {
  /// A text without its escapes.
  static func decoded(_ text: some StringProtocol) -> String {
    FormText.decoded(text, plus: 0x2B)
  }
}

/// Texts of forms and queries: `+` is a space, and other bytes have escapes.
public enum FormText {
  /// A text without its escapes; what is no escape stays.
  public static func decoded(_ text: some StringProtocol) -> String { decoded(text, plus: 0x20) }

  static func decoded(_ text: some StringProtocol, plus: UInt8) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == 0x25, index + 2 < bytes.count, let high = hexDigit(bytes[index + 1]),
        let low = hexDigit(bytes[index + 2])
      {
        result.append(high << 4 | low)
        index += 3
      } else {
        result.append(bytes[index] == 0x2B ? plus : bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// A text with escapes for everything but letters, digits and `-._~`.
  public static func encoded(_ text: some StringProtocol) -> String {
    var result: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: result.append(byte)
      default:
        let digits = Array("0123456789ABCDEF".utf8)
        result += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
