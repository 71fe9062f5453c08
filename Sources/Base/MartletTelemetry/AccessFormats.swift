/// Writes access records as JSON, one object a line.
///
/// A text that the request has not is left out; the other members are always there. Durations are
/// seconds with six decimal places.
public struct JSONAccessFormat: Sendable {
  private let fieldBytes: Int
  private var clock = TimestampText(.rfc3339)

  /// Creates a format that cuts each text after `fieldBytes` bytes, and marks the cut with `…`.
  public init(fieldBytes: Int = 2048) {
    precondition(fieldBytes > 0, "a text needs room")
    self.fieldBytes = fieldBytes
  }

  /// Appends the line of a request.
  ///
  /// - Complexity: O(*n*) in the bytes of the texts, with no allocation while the buffer has room.
  public mutating func append(
    _ record: borrowing AccessRecord,
    _ text: borrowing AccessText,
    _ labels: borrowing AccessLabels,
    to buffer: inout TextBuffer
  ) {
    buffer.append("{\"time\":\"")
    clock.append(record.time, to: &buffer)
    buffer.append("\",\"id\":\"")
    if text.requestID.isEmpty {
      buffer.append(record.requestID)
    } else {
      append(inside: text.requestID, to: &buffer)
    }
    buffer.append("\",\"client\":\"")
    if text.client.isEmpty {
      buffer.append(address: record.clientWords)
    } else {
      append(inside: text.client, to: &buffer)
    }
    buffer.append(0x22)
    append(",\"method\":\"", text.method, to: &buffer)
    append(",\"target\":\"", text.target, to: &buffer)
    append(",\"host\":\"", text.host, to: &buffer)
    buffer.append(",\"version\":\"")
    buffer.append(record.version)
    buffer.append("\",\"status\":")
    buffer.append(decimal: UInt64(record.status))
    if record.callStatus != .max {
      buffer.append(",\"grpc_status\":")
      buffer.append(decimal: UInt64(record.callStatus))
    }
    buffer.append(",\"received\":")
    buffer.append(decimal: record.bytesReceived)
    buffer.append(",\"sent\":")
    buffer.append(decimal: record.bytesSent)
    if !text.coding.isEmpty {
      append(",\"coding\":\"", text.coding, to: &buffer)
      buffer.append(",\"plain\":")
      buffer.append(decimal: record.plainBytes)
    }
    if !text.tlsVersion.isEmpty {
      append(",\"tls\":\"", text.tlsVersion, to: &buffer)
      append(",\"cipher\":\"", text.tlsCipher, to: &buffer)
      append(",\"server_name\":\"", text.tlsServerName, to: &buffer)
    }
    append(",\"referer\":\"", text.referer, to: &buffer)
    append(",\"user_agent\":\"", text.userAgent, to: &buffer)
    buffer.append(labels.json.span)
    append(",\"member\":\"", text.member, to: &buffer)
    buffer.append(",\"tries\":")
    buffer.append(decimal: Int64(record.tryCount))
    append(",\"failed_tries\":\"", text.failedTries, to: &buffer)
    append(",\"hedge\":\"", text.hedge, to: &buffer)
    append(",\"cache\":\"", text.cache, to: &buffer)
    buffer.append(",\"reused\":")
    buffer.append(record.reusedConnection ? "true" : "false")
    buffer.append(",\"end\":\"")
    buffer.append(utf8: record.end.rawValue)
    buffer.append(0x22)
    append(",\"detail\":\"", text.detail, to: &buffer)
    if record.queuedNanoseconds > 0 {
      buffer.append(",\"queued\":")
      buffer.append(seconds: record.queuedNanoseconds)
    }
    append(record.nanoseconds, to: &buffer)
    buffer.append("}\n")
  }

  // Each number takes eight bytes until it reaches ten seconds.
  private static let durations: StaticString = """
    ,"seconds":{"waiting":0.000000,"head":0.000000,"routing":0.000000,"connecting":0.000000,"sending\
    ":0.000000,"answering":0.000000,"relaying":0.000000,"total":0.000000}
    """

  /// Appends the durations: all names at once, and then each number over its zeros.
  private func append(_ times: StepNanoseconds, to buffer: inout TextBuffer) {
    let start = buffer.count
    buffer.append(Self.durations)
    var isShort = true
    isShort = buffer.overwrite(seconds: times.waiting, at: start &+ 22) && isShort
    isShort = buffer.overwrite(seconds: times.head, at: start &+ 38) && isShort
    isShort = buffer.overwrite(seconds: times.routing, at: start &+ 57) && isShort
    isShort = buffer.overwrite(seconds: times.connecting, at: start &+ 79) && isShort
    isShort = buffer.overwrite(seconds: times.sending, at: start &+ 98) && isShort
    isShort = buffer.overwrite(seconds: times.answering, at: start &+ 119) && isShort
    isShort = buffer.overwrite(seconds: times.relaying, at: start &+ 139) && isShort
    isShort = buffer.overwrite(seconds: times.total, at: start &+ 156) && isShort
    if !isShort {
      buffer.truncate(to: start)
      appendLong(times, to: &buffer)
    }
  }

  /// Appends durations of which one takes more than eight bytes.
  @inline(never)
  private func appendLong(_ times: StepNanoseconds, to buffer: inout TextBuffer) {
    buffer.append(",\"seconds\":{\"waiting\":")
    buffer.append(seconds: times.waiting)
    buffer.append(",\"head\":")
    buffer.append(seconds: times.head)
    buffer.append(",\"routing\":")
    buffer.append(seconds: times.routing)
    buffer.append(",\"connecting\":")
    buffer.append(seconds: times.connecting)
    buffer.append(",\"sending\":")
    buffer.append(seconds: times.sending)
    buffer.append(",\"answering\":")
    buffer.append(seconds: times.answering)
    buffer.append(",\"relaying\":")
    buffer.append(seconds: times.relaying)
    buffer.append(",\"total\":")
    buffer.append(seconds: times.total)
    buffer.append(0x7D)
  }

  @inline(__always)
  private func append(
    _ key: StaticString,
    _ text: Span<UInt8>,
    to buffer: inout TextBuffer
  ) {
    guard !text.isEmpty else { return }
    buffer.append(key)
    append(inside: text, to: &buffer)
    buffer.append(0x22)
  }

  @inline(__always)
  private func append(inside text: Span<UInt8>, to buffer: inout TextBuffer) {
    if text.count <= fieldBytes {
      buffer.append(jsonEscaped: text)
    } else {
      buffer.append(jsonEscaped: text.extracting(first: fieldBytes))
      buffer.append("…")
    }
  }
}

/// Writes access records in the combined form that Apache made common: one line of text each.
///
/// `client - - [time] "request line" status bytes "referer" "user agent"`, with `-` for what is not
/// there.
public struct CombinedAccessFormat: Sendable {
  private let fieldBytes: Int
  private var clock = TimestampText(.apache)

  /// Creates a format that cuts each text after `fieldBytes` bytes, and marks the cut with `...`.
  public init(fieldBytes: Int = 2048) {
    precondition(fieldBytes > 0, "a text needs room")
    self.fieldBytes = fieldBytes
  }

  /// Appends the line of a request.
  ///
  /// - Complexity: O(*n*) in the bytes of the texts, with no allocation while the buffer has room.
  public mutating func append(
    _ record: borrowing AccessRecord,
    _ text: borrowing AccessText,
    to buffer: inout TextBuffer
  ) {
    if text.client.isEmpty {
      buffer.append(address: record.clientWords)
    } else {
      append(text.client, to: &buffer)
    }
    buffer.append(" - - [")
    clock.append(record.time, to: &buffer)
    buffer.append("] \"")
    if text.method.isEmpty {
      buffer.append(0x2D)
    } else {
      append(text.method, to: &buffer)
      buffer.append(0x20)
      append(text.target, to: &buffer)
      buffer.append(0x20)
      buffer.append(record.version)
    }
    buffer.append("\" ")
    buffer.append(decimal: UInt64(record.status))
    buffer.append(0x20)
    if record.bytesSent == 0 {
      buffer.append(0x2D)
    } else {
      buffer.append(decimal: record.bytesSent)
    }
    buffer.append(" \"")
    append(text.referer, to: &buffer)
    buffer.append("\" \"")
    append(text.userAgent, to: &buffer)
    buffer.append("\"\n")
  }

  @inline(__always)
  private func append(_ text: Span<UInt8>, to buffer: inout TextBuffer) {
    if text.isEmpty {
      buffer.append(0x2D)
    } else if text.count <= fieldBytes {
      buffer.append(logEscaped: text)
    } else {
      buffer.append(logEscaped: text.extracting(first: fieldBytes))
      buffer.append("...")
    }
  }
}
