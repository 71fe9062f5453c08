import HTTPMessage
import MartletBytes

/// A request that was sent: what its head says about itself and about the content behind it.
public struct SentRequest: Hashable, Sendable {
  /// The stream.
  public var stream: Int
  /// The length of the content, where it is said.
  public var length: UInt64?
  /// Whether the content comes in chunks.
  public var isChunked: Bool
  /// Whether it asks for WebSocket, so that bytes pass both ways until somebody ends.
  public var isTunnel: Bool
}

/// What of a request's head is sent otherwise than it is written.
public struct RequestChanges: Hashable, Sendable {
  /// The value of `grpc-timeout`; empty: as it is written.
  public var deadline: [UInt8] = []
  /// The value of Content-Type; empty: as it is written.
  public var contentType: [UInt8] = []
  /// Whether a browser calls: its content has another length than it says, and it knows no trailers.
  public var isOfBrowser = false

  /// Creates changes that change nothing.
  public init() {}
}

/// Requests: from the text of HTTP/1.1 to streams.
extension ConnectionMachine {
  /// Opens a stream with a request; `head` is its head as HTTP/1.1 writes it, with its empty line.
  ///
  /// - Returns: The stream; nil when the peer takes no more of them.
  public mutating func open(
    _ head: Span<UInt8>,
    isSecure: Bool,
    isLast: Bool
  ) -> Int? {
    guard let stream = begin(head, isSecure: isSecure)?.stream else { return nil }
    if isLast { finish(stream) }
    return stream
  }

  /// Opens a stream with a request, whose content follows; `head` is its head as HTTP/1.1 writes it, with
  /// its empty line.
  ///
  /// What is of one connection only is left out. An Upgrade to WebSocket becomes an extended CONNECT if
  /// the peer takes it, and is left out otherwise. `changes` say what else is sent otherwise.
  ///
  /// - Returns: The stream and what the head says; nil when the peer takes no more of them.
  public mutating func begin(
    _ head: Span<UInt8>,
    isSecure: Bool,
    changing changes: RequestChanges = RequestChanges()
  ) -> SentRequest? {
    guard role == .client, canOpen else { return nil }
    let id = nextStream
    nextStream += 2
    var record = newRecord(id)
    record.isHead = head.count >= 5 && head.extracting(0..<5).isText("HEAD ")
    let isTunnel = peer.allowsExtendedConnect && Self.asksForWebSocket(head)
    record.isTunnel = isTunnel
    let stream = streams.insert(record)
    var sent = SentHead(status: 0)
    putBlock(stream, isLast: false) { encoder, out in
      Self.encodeRequest(head, isSecure: isSecure, isTunnel, changes, &encoder, &out, &sent)
    }
    streams[stream].headWent = true
    return SentRequest(
      stream: stream,
      length: sent.length,
      isChunked: sent.isChunked,
      isTunnel: isTunnel
    )
  }

  /// How many further streams the peer takes now.
  public var openableCount: Int {
    guard hasSettings || !limits.waitsForSettings, !isRetired else { return 0 }
    return max(0, min(peer.streamCount, limits.streamCount) - streams.count)
  }

  /// Whether the peer takes a further stream.
  public var canOpen: Bool { openableCount > 0 }

  /// Whether no further stream can ever be opened.
  public var isRetired: Bool {
    fault != nil || isShuttingDown || peerLastStream != nil || nextStream >= 0x7FFF_FFFF
  }

  /// Whether the peer's settings have come.
  public var isReady: Bool { hasSettings }

  private static func encodeRequest(
    _ head: Span<UInt8>,
    isSecure: Bool,
    _ isTunnel: Bool,
    _ changes: RequestChanges,
    _ encoder: inout FieldEncoder,
    _ out: inout [UInt8],
    _ sent: inout SentHead
  ) {
    let methodEnd = ByteSearch.firstIndex(of: 0x20, in: head, from: 0) ?? 0
    let targetStart = min(methodEnd + 1, head.count)
    let targetEnd = ByteSearch.firstIndex(of: 0x20, in: head, from: targetStart) ?? targetStart
    let method = head.extracting(0..<methodEnd)
    if isTunnel {
      encoder.put(pseudo: StaticFields.methodGet, connect.span, into: &out)
      put(webSocketProtocol, nameCount: 9, &encoder, &out)
    } else if method.isText("GET") {
      encoder.put(known: StaticFields.methodGet, into: &out)
    } else if method.isText("POST") {
      encoder.put(known: StaticFields.methodPost, into: &out)
    } else {
      encoder.put(pseudo: StaticFields.methodGet, method, into: &out)
    }
    if isTunnel || !method.isText("CONNECT") {
      encoder.put(
        known: isSecure ? StaticFields.schemeHTTPS : StaticFields.schemeHTTP,
        into: &out
      )
      encoder.put(
        pseudo: StaticFields.path,
        head.extracting(targetStart..<targetEnd),
        into: &out
      )
    }
    let fields = nextLine(head, 0)
    var line = fields
    while let end = lineEnd(head, line) {
      if end - line > 5, head.extracting(line..<line + 5).isText("Host:") {
        let value = HTTPGrammar.trimmed(line + 5..<end, in: head)
        encoder.put(pseudo: StaticFields.authority, head.extracting(value), into: &out)
        break
      }
      line = end + 2
    }
    encodeFields(
      head,
      from: fields,
      changing: changes,
      isTunnel: isTunnel,
      &encoder,
      &out,
      &sent
    )
    if !changes.deadline.isEmpty {
      put(timeoutName + changes.deadline, nameCount: 12, &encoder, &out)
    }
    if !changes.contentType.isEmpty {
      put(typeName + changes.contentType, nameCount: 12, &encoder, &out)
    }
    if changes.isOfBrowser { put(acceptsTrailers, nameCount: 2, &encoder, &out) }
  }

  /// Puts a line `name: value`.
  private static func put(
    _ line: [UInt8],
    nameCount: Int,
    _ encoder: inout FieldEncoder,
    _ out: inout [UInt8]
  ) {
    encoder.put(
      line.span,
      line.indices,
      nameCount: nameCount,
      valueStart: nameCount + 2,
      isSecret: false,
      into: &out
    )
  }

  private static let connect = Array("CONNECT".utf8)
  private static let webSocketProtocol = Array(":protocol: websocket".utf8)
  private static let timeoutName = Array("grpc-timeout: ".utf8)
  private static let typeName = Array("content-type: ".utf8)
  private static let acceptsTrailers = Array("te: trailers".utf8)

  /// Whether a request asks to be switched to WebSocket.
  private static func asksForWebSocket(_ head: Span<UInt8>) -> Bool {
    var line = nextLine(head, 0)
    while let end = lineEnd(head, line) {
      defer { line = end + 2 }
      guard let colon = ByteSearch.firstIndex(of: 0x3A, in: head, from: line, to: end),
        FieldName(head.extracting(line..<colon)) == .upgrade
      else { continue }
      let value = HTTPGrammar.trimmed(colon + 1..<end, in: head)
      return equalIgnoringCase(head.extracting(value), webSocket.span)
    }
    return false
  }

  private static let webSocket = Array("websocket".utf8)
}
