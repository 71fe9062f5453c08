/// What a cache did with a request, as the field Cache-Status tells it.
///
/// - Source: RFC 9211.
public struct CacheStatus: Sendable {
  /// Why a request went on towards the origin.
  public enum Forward: UInt8, Sendable, CaseIterable {
    /// The cache was told not to handle it.
    case bypass
    /// Its method asks for that.
    case method
    /// Nothing is stored for its target.
    case uriMiss
    /// Nothing is stored for its selecting fields.
    case varyMiss
    /// Nothing is stored for it, for a reason that is none of the others.
    case miss
    /// Something fresh is stored, but the request wants otherwise.
    case request
    /// What is stored is stale.
    case stale
    /// What is stored is not all that is wanted.
    case partial

    /// The reason as the field has it.
    public var token: StaticString {
      switch self {
      case .bypass: "bypass"
      case .method: "method"
      case .uriMiss: "uri-miss"
      case .varyMiss: "vary-miss"
      case .miss: "miss"
      case .request: "request"
      case .stale: "stale"
      case .partial: "partial"
      }
    }
  }

  /// Why the request went on; nil: it was answered by what is stored.
  public var forward: Forward?
  /// The status of the origin's answer, where it is not the one that is sent.
  public var forwardStatus: UInt16?
  /// For how many seconds the response is still fresh; less than 0 when it is stale.
  public var timeToLive: Int64?
  /// Whether the response was stored.
  public var isStored = false
  /// Whether the request waited for the answer to another one.
  public var isCollapsed = false
  /// A further word: a token.
  public var detail: StaticString?

  /// A request that was answered by what is stored.
  public init(hitWithTimeToLive timeToLive: Int64?) { self.timeToLive = timeToLive }

  /// A request that went on.
  public init(_ forward: Forward) { self.forward = forward }

  /// Whether the request was answered by what is stored.
  public var isHit: Bool { forward == nil }

  /// The value of the field, for a cache of this name: a token of at most 32 bytes.
  public func text(name: StaticString) -> Text {
    var text = Text()
    text.append(name, limit: 32)
    if let forward {
      text.append("; fwd=")
      text.append(forward.token)
      if let forwardStatus {
        text.append("; fwd-status=")
        text.append(Int64(forwardStatus))
      }
    } else {
      text.append("; hit")
    }
    if let timeToLive {
      text.append("; ttl=")
      text.append(timeToLive)
    }
    // RFC 9211, sections 2.5 and 2.6: both are about requests that went on.
    if forward != nil, isStored { text.append("; stored") }
    if forward != nil, isCollapsed { text.append("; collapsed") }
    if let detail {
      text.append("; detail=")
      text.append(detail, limit: 32)
    }
    return text
  }

  /// The text of the field's value, in place.
  public struct Text: Sendable {
    private var storage = InlineArray<192, UInt8>(repeating: 0)
    private var count = 0

    init() {}

    /// The bytes of the text.
    public var bytes: Span<UInt8> {
      @_lifetime(borrow self)
      get { storage.span.extracting(first: count) }
    }

    fileprivate mutating func append(_ text: StaticString, limit: Int = 64) {
      for byte in text.description.utf8.prefix(limit) { put(byte) }
    }

    fileprivate mutating func append(_ number: Int64) {
      var digits = InlineArray<20, UInt8>(repeating: 0)
      var used = 0
      var rest = number.magnitude
      repeat {
        digits[used] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
        used += 1
      } while rest > 0
      if number < 0 { put(0x2D) }
      while used > 0 {
        used -= 1
        put(digits[used])
      }
    }

    private mutating func put(_ byte: UInt8) {
      guard count < storage.count else { return }
      storage[count] = byte
      count += 1
    }
  }
}
