import Configuration
import HTTPMessage
import KeyedTables
import MartletLoop
import MartletSystem

/// What requests are told apart by, where limits and queues say so: a text, as one word.
enum RequestKey: Sendable {
  case common
  case client
  case text(TextTemplate)

  /// The hash of all keys: a secret of this process, so that nobody can choose keys that meet.
  static let hash = KeyHash.random()

  init(_ template: Template?) {
    switch template {
    case nil: self = .common
    case let template? where template.parts == [.variable(.clientAddress)]: self = .client
    case let template?: self = .text(TextTemplate(template))
    }
  }

  /// The word of what an exchange belongs to, or nil when that is an empty text.
  func knownWord(
    of exchange: Exchange,
    _ head: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> UInt64? {
    let word = word(of: exchange, head, of: connection)
    return word == Self.nothing ? nil : word
  }

  /// The word of an empty text.
  private static let nothing = hash.key(of: [UInt8]().span)

  /// The word of a client.
  static func word(of client: SocketAddress) -> UInt64 {
    guard let words = client.hostWords else { return KeyHash.common }
    return hash.key(of: words.0, words.0 == 0 ? words.1 : 0)
  }

  /// The word of what a connection of layer 4 belongs to.
  func word(of client: SocketAddress) -> UInt64 {
    switch self {
    case .common, .text: KeyHash.common
    case .client: Self.word(of: client)
    }
  }

  /// The word of what an exchange belongs to; of a long text what fits into a buffer.
  ///
  /// An IPv6 client counts by the network of 64 bits that it has for itself (RFC 6177): else it would
  /// have as many keys as it likes.
  func word(
    of exchange: Exchange,
    _ head: Span<UInt8>,
    of connection: HTTP1Connection
  ) -> UInt64 {
    switch self {
    case .common: return KeyHash.common
    case .client:
      return Self.word(of: connection.clientAddress(of: exchange, head))
    case .text(let template):
      var text = connection.loop.lend(.head)
      do throws(ExchangeError) {
        try template.write(to: &text, exchange, connection, head, answer: Span())
      } catch {
        return Self.hash.key(of: text.bytes)
      }
      return Self.hash.key(of: text.bytes)
    }
  }
}
