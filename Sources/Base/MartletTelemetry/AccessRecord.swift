import MartletBytes

/// The numbers of one finished request; its texts are an ``AccessText``.
public struct AccessRecord: Sendable {
  /// When the first byte of the request came.
  public var time: Timestamp
  /// The name that Martlet gave the request; ``AccessText/requestID`` comes before it.
  public var requestID = RequestID(high: 0, low: 0)
  /// The client's address: IPv6, or IPv4 as `::ffff:a.b.c.d`; ``AccessText/client`` comes before it.
  public var clientWords: (high: UInt64, low: UInt64) = (0, 0)
  /// The version as it is written: `HTTP/1.1`.
  public var version: StaticString = "HTTP/1.1"
  /// The status that was sent, or would have been; 0 if there was none.
  public var status: UInt16 = 0
  /// The outcome of a call of gRPC; 255 for what is none, or has none.
  public var callStatus = UInt8.max
  /// Bytes of content received from the client.
  public var bytesReceived: UInt64 = 0
  /// Bytes of content sent to the client.
  public var bytesSent: UInt64 = 0
  /// Bytes of content before it was put into ``AccessText/coding``.
  public var plainBytes: UInt64 = 0
  /// How long it waited for a place at a member, a part of ``StepNanoseconds/connecting``.
  public var queuedNanoseconds: UInt64 = 0
  /// How many members were tried.
  public var tryCount = 0
  /// Whether the answer came over a connection that had carried a request before.
  public var reusedConnection = false
  /// Why the exchange ended.
  public var end = EndReason.complete
  /// How long each step took.
  public var nanoseconds = StepNanoseconds()

  /// Creates the record of a request that came at `time`.
  @inlinable
  public init(time: Timestamp) { self.time = time }
}

/// How long the steps of an exchange took, in nanoseconds; 0 for a step that was not reached.
public struct StepNanoseconds: Hashable, Sendable {
  /// From the end of the exchange before, or the accepted connection, to the first byte.
  public var waiting: UInt64 = 0
  /// From the first byte to the end of the head.
  public var head: UInt64 = 0
  /// Until the route was known.
  public var routing: UInt64 = 0
  /// Until a connection to a member was there: chosen, taken from the pool or opened.
  public var connecting: UInt64 = 0
  /// Until the request was sent.
  public var sending: UInt64 = 0
  /// Until the first byte of the answer.
  public var answering: UInt64 = 0
  /// Until the last byte of the answer was passed on.
  public var relaying: UInt64 = 0
  /// From the first byte of the request to the end.
  public var total: UInt64 = 0

  /// Creates a split in which no step was reached.
  @inlinable
  public init() {}
}

/// A number of 128 bits that names a request in logs, headers and traces.
public struct RequestID: Hashable, Sendable {
  /// The first sixteen hexadecimal digits.
  public var high: UInt64
  /// The last sixteen hexadecimal digits.
  public var low: UInt64

  /// Creates a name from its two halves.
  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

/// The names from the configuration that a request's line shows, made ready when that is compiled.
public struct AccessLabels: Hashable, Sendable {
  /// For a request that found no server.
  public static let none = AccessLabels(server: "", route: "", upstream: "")

  /// What stands in a JSON object, each member behind a comma.
  let json: [UInt8]

  /// Creates the labels of a route; an empty name is left out.
  public init(server: String, route: String = "", upstream: String = "") {
    var buffer = TextBuffer()
    for (key, name) in [("server", server), ("route", route), ("upstream", upstream)]
    where !name.isEmpty {
      buffer.append(",\"")
      buffer.append(utf8: key)
      buffer.append("\":")
      buffer.append(json: name.utf8.span)
    }
    json = [UInt8](copying: buffer.bytes)
  }
}

/// The texts of one finished request, where they are: nothing is copied before the line is written.
///
/// An empty text is one that the request has not. All may hold any bytes: the formats see to it that
/// a line stays a line.
public struct AccessText: ~Escapable {
  /// The request's name that a trusted client gave; else ``AccessRecord/requestID`` is written.
  public var requestID: Span<UInt8>
  /// The client's address without its port; else ``AccessRecord/clientWords`` is written.
  public var client: Span<UInt8>
  /// The method.
  public var method: Span<UInt8>
  /// The request target as received.
  public var target: Span<UInt8>
  /// The host that was asked.
  public var host: Span<UInt8>
  /// The field Referer.
  public var referer: Span<UInt8>
  /// The field User-Agent.
  public var userAgent: Span<UInt8>
  /// The member that answered, or was tried last.
  public var member: Span<UInt8>
  /// More about the end: the name of the broken rule, an address.
  public var detail: Span<UInt8>
  /// Why earlier tries have failed, in order.
  public var failedTries: Span<UInt8>
  /// What became of a second request to another member.
  public var hedge: Span<UInt8>
  /// What a cache did with the request; empty without one.
  public var cache: Span<UInt8>
  /// The coding that the content was put into; empty when it was sent as it is.
  public var coding: Span<UInt8>
  /// The version of TLS; empty without it.
  public var tlsVersion: Span<UInt8>
  /// The cipher of TLS.
  public var tlsCipher: Span<UInt8>
  /// The host that the client has asked for by TLS.
  public var tlsServerName: Span<UInt8>

  /// Creates empty texts.
  @inlinable
  @_lifetime(immortal)
  public init() {
    requestID = Span()
    client = Span()
    method = Span()
    target = Span()
    host = Span()
    referer = Span()
    userAgent = Span()
    member = Span()
    detail = Span()
    failedTries = Span()
    hedge = Span()
    cache = Span()
    coding = Span()
    tlsVersion = Span()
    tlsCipher = Span()
    tlsServerName = Span()
  }
}

extension TextBuffer {
  /// Appends the 32 hexadecimal digits of a request's name.
  public mutating func append(_ id: RequestID) {
    append(hex: id.high)
    append(hex: id.low)
  }

  /// Appends an address of two words: IPv6, or IPv4 where it is mapped; `unix:` for none.
  ///
  /// - Source: RFC 5952, section 4.
  public mutating func append(address words: (high: UInt64, low: UInt64)) {
    if words.high == 0, words.low >> 32 == 0xFFFF {
      append(decimal: words.low >> 24 & 255)
      append(0x2E)
      append(decimal: words.low >> 16 & 255)
      append(0x2E)
      append(decimal: words.low >> 8 & 255)
      append(0x2E)
      append(decimal: words.low & 255)
    } else if words.high | words.low == 0 {
      append("unix:")
    } else {
      append(ipv6: words)
    }
  }

  /// Appends eight groups without leading zeros; the longest run of zero groups, if longer than one,
  /// becomes `::`.
  private mutating func append(ipv6 words: (high: UInt64, low: UInt64)) {
    func group(_ index: Int) -> UInt64 {
      let word = index < 4 ? words.high : words.low
      return word >> UInt64((3 - index & 3) * 16) & 0xFFFF
    }
    var run = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, group(end) == 0 { end += 1 }
      if end - start > max(run.count, 1) { run = start..<end }
      start = max(end, start + 1)
    }
    var index = 0
    while index < 8 {
      if index == run.lowerBound, !run.isEmpty {
        append("::")
        index = run.upperBound
        continue
      }
      if index > 0, index != run.upperBound || run.isEmpty { append(0x3A) }
      let value = group(index)
      for shift in [UInt64(12), 8, 4, 0] where value >> shift > 0 || shift == 0 {
        let digit = UInt8(value >> shift & 15)
        append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
      }
      index += 1
    }
  }
}
