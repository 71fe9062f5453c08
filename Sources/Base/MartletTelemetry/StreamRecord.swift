import MartletBytes

/// The numbers of one connection of layer 4 that is over.
public struct StreamRecord: Sendable {
  /// When the connection was accepted.
  public var time: Timestamp
  /// The client's address: IPv6, or IPv4 as `::ffff:a.b.c.d`; zeros for a Unix socket.
  public var clientWords: (high: UInt64, low: UInt64) = (0, 0)
  /// The client's port; 0 for a Unix socket.
  public var clientPort: UInt16 = 0
  /// Bytes that were passed from the client to the member.
  public var bytesReceived: UInt64 = 0
  /// Bytes that were passed from the member to the client.
  public var bytesSent: UInt64 = 0
  /// How many datagrams that were; nil for a connection of bytes.
  public var datagrams: Datagrams?
  /// How many members were tried.
  public var tryCount = 0
  /// Why the connection ended.
  public var end = EndReason.complete
  /// From the accepted connection until the one to the member stood; 0 if none did.
  public var connectingNanoseconds: UInt64 = 0
  /// From the accepted connection to the end.
  public var totalNanoseconds: UInt64 = 0

  /// How many datagrams have passed in each direction.
  public struct Datagrams: Hashable, Sendable {
    /// From the client.
    public var received: UInt64
    /// To the client.
    public var sent: UInt64

    /// Creates the numbers.
    public init(received: UInt64, sent: UInt64) {
      self.received = received
      self.sent = sent
    }
  }

  /// Creates the record of a connection that was accepted at `time`.
  @inlinable
  public init(time: Timestamp) { self.time = time }
}

/// The names from the configuration that a connection's line shows, made ready when that is compiled.
public struct StreamLabels: Hashable, Sendable {
  /// What stands in a JSON object, each member behind a comma.
  let json: [UInt8]
  /// What stands in a line of words.
  let text: [UInt8]

  /// Creates the labels of a listener and the upstream that its connections go to.
  public init(listener: String, upstream: String) {
    var buffer = TextBuffer()
    buffer.append(",\"listener\":\"")
    buffer.append(jsonEscaped: listener.utf8.span)
    buffer.append("\",\"upstream\":\"")
    buffer.append(jsonEscaped: upstream.utf8.span)
    buffer.append(0x22)
    json = [UInt8](copying: buffer.bytes)
    buffer.truncate(to: 0)
    buffer.append(logEscaped: listener.utf8.span)
    buffer.append(0x20)
    buffer.append(logEscaped: upstream.utf8.span)
    text = [UInt8](copying: buffer.bytes)
  }
}

/// Writes records of connections as JSON, one object a line.
///
/// `member` and `detail` are left out where there is none. Durations are seconds with six decimal
/// places.
public struct JSONStreamFormat: Sendable {
  private var clock = TimestampText(.rfc3339)

  /// Creates a format.
  public init() {}

  /// Appends the line of a connection.
  public mutating func append(
    _ record: borrowing StreamRecord,
    _ labels: borrowing StreamLabels,
    member: Span<UInt8>,
    detail: Span<UInt8>,
    to buffer: inout TextBuffer
  ) {
    buffer.append("{\"time\":\"")
    clock.append(record.time, to: &buffer)
    buffer.append("\",\"client\":\"")
    buffer.append(address: record.clientWords)
    buffer.append(0x22)
    if record.clientPort != 0 {
      buffer.append(",\"port\":")
      buffer.append(decimal: UInt64(record.clientPort))
    }
    buffer.append(labels.json.span)
    if !member.isEmpty {
      buffer.append(",\"member\":\"")
      buffer.append(jsonEscaped: member)
      buffer.append(0x22)
    }
    buffer.append(",\"received\":")
    buffer.append(decimal: record.bytesReceived)
    buffer.append(",\"sent\":")
    buffer.append(decimal: record.bytesSent)
    buffer.append(",\"tries\":")
    buffer.append(decimal: Int64(record.tryCount))
    buffer.append(",\"end\":\"")
    buffer.append(utf8: record.end.rawValue)
    buffer.append(0x22)
    if !detail.isEmpty {
      buffer.append(",\"detail\":\"")
      buffer.append(jsonEscaped: detail)
      buffer.append(0x22)
    }
    if let datagrams = record.datagrams {
      buffer.append(",\"datagrams\":{\"received\":")
      buffer.append(decimal: datagrams.received)
      buffer.append(",\"sent\":")
      buffer.append(decimal: datagrams.sent)
      buffer.append("}")
    }
    buffer.append(",\"seconds\":{\"connecting\":")
    buffer.append(seconds: record.connectingNanoseconds)
    buffer.append(",\"total\":")
    buffer.append(seconds: record.totalNanoseconds)
    buffer.append("}}\n")
  }
}

/// Writes records of connections as lines of words.
///
/// `time client listener upstream member received sent tries connecting total end "detail"`, with `-`
/// for what is not there; a listener is two words, `tcp` or `udp` and its address. A flow of datagrams
/// has two more: how many were received and sent.
public struct TextStreamFormat: Sendable {
  private var clock = TimestampText(.rfc3339)

  /// Creates a format.
  public init() {}

  /// Appends the line of a connection.
  public mutating func append(
    _ record: borrowing StreamRecord,
    _ labels: borrowing StreamLabels,
    member: Span<UInt8>,
    detail: Span<UInt8>,
    to buffer: inout TextBuffer
  ) {
    clock.append(record.time, to: &buffer)
    buffer.append(0x20)
    let words = record.clientWords
    let hasPort = record.clientPort != 0
    let needsBrackets = hasPort && (words.high != 0 || words.low >> 32 != 0xFFFF)
    if needsBrackets { buffer.append(0x5B) }
    buffer.append(address: words)
    if needsBrackets { buffer.append(0x5D) }
    if hasPort {
      buffer.append(0x3A)
      buffer.append(decimal: UInt64(record.clientPort))
    }
    buffer.append(0x20)
    buffer.append(labels.text.span)
    buffer.append(0x20)
    if member.isEmpty { buffer.append(0x2D) } else { buffer.append(logEscaped: member) }
    for number in [record.bytesReceived, record.bytesSent, UInt64(max(0, record.tryCount))] {
      buffer.append(0x20)
      buffer.append(decimal: number)
    }
    buffer.append(0x20)
    buffer.append(seconds: record.connectingNanoseconds)
    buffer.append(0x20)
    buffer.append(seconds: record.totalNanoseconds)
    buffer.append(0x20)
    buffer.append(utf8: record.end.rawValue)
    if detail.isEmpty {
      buffer.append(" -")
    } else {
      buffer.append(" \"")
      buffer.append(logEscaped: detail)
      buffer.append("\"")
    }
    if let datagrams = record.datagrams {
      buffer.append(0x20)
      buffer.append(decimal: datagrams.received)
      buffer.append(0x20)
      buffer.append(decimal: datagrams.sent)
    }
    buffer.append("\n")
  }
}
