import HTTP1
import HTTPMessage

/// The answer to a GET whose connection ends with it; of its content so much is kept as may be.
struct CrawlAnswer {
  private static let limits: HeadLimits = {
    var limits = HeadLimits()
    limits.headBytes = 65_535
    return limits
  }()

  private var reader = ResponseReader(answering: "GET", limits: Self.limits)
  private let limit: Int

  /// The content, as much as is kept of it.
  private(set) var body: [UInt8] = []
  /// How many bytes of content have come.
  private(set) var byteCount = 0

  init(limit: Int) { self.limit = limit }

  var status: Int { Int(reader.head.status) }

  /// What the fields say of the kind of the content, and of where to ask instead.
  var contentType: String { reader.field("content-type") ?? "" }
  var location: String? { reader.field("location") }

  /// Whether all of it has come, or all that is looked at.
  var isOver: Bool { reader.isWhole || byteCount >= limit }

  mutating func take(_ bytes: [UInt8]) throws(MessageError) {
    let content = try reader.take(bytes)
    byteCount += content.count
    body += content.prefix(max(0, limit - body.count))
  }

  /// Whether the answer is whole if the connection ends here.
  mutating func end() -> Bool { reader.end() || isOver }
}
