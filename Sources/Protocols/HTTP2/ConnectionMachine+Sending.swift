import HTTPMessage
import MartletBytes

/// Answers and content: from the text of HTTP/1.1 to frames.
extension ConnectionMachine {
  /// Sends the head of an answer, as HTTP/1.1 writes it, with its empty line; interim ones too.
  ///
  /// What is of one connection only is left out, and a switch of protocols is an answer like any other.
  ///
  /// - Returns: What the head says about itself and about the content behind it.
  @discardableResult
  public mutating func sendHead(
    _ head: Span<UInt8>,
    on stream: Int,
    isLast: Bool
  ) -> SentHead {
    guard !streams[stream].localEnded, head.count >= 12 else { return SentHead(status: 0) }
    let status =
      UInt16(head[9] &- 0x30) * 100 + UInt16(head[10] &- 0x30) * 10 + UInt16(head[11] &- 0x30)
    var sent = SentHead(status: status)
    putBlock(stream, isLast: isLast) { encoder, out in
      // RFC 8441, section 5: 200 is what 101 is in HTTP/1.1.
      encoder.put(status: status == 101 ? 200 : status, into: &out)
      Self.encodeFields(head, from: Self.nextLine(head, 0), &encoder, &out, &sent)
    }
    let isInterim = status < 200 && status != 101
    streams[stream].headWent = !isInterim
    // An interim answer is never the last frame.
    if isInterim { streams[stream].lastFrame = -1 }
    if isLast { streams[stream].localEnded = true }
    return sent
  }

  /// Sends trailers, each as a line with its end, and with them the end of the stream.
  public mutating func sendTrailers(_ lines: Span<UInt8>, on stream: Int) {
    guard !streams[stream].localEnded else { return }
    guard !lines.isEmpty else { return finish(stream) }
    var sent = SentHead(status: 0)
    putBlock(stream, isLast: true) { encoder, out in
      Self.encodeFields(lines, from: 0, &encoder, &out, &sent)
    }
    streams[stream].localEnded = true
  }

  /// Sends as much of `bytes` as the windows and the room for what waits allow; with `isLast` they
  /// are all that is left, and their end is that of the stream.
  ///
  /// - Returns: How many bytes were taken.
  public mutating func send(_ bytes: Span<UInt8>, on stream: Int, isLast: Bool) -> Int {
    let taken = min(bytes.count, room(on: stream))
    var offset = 0
    while offset < taken {
      let count = min(taken - offset, peer.frameBytes, FrameHeader.payloadBytes)
      let endsHere = isLast && offset + count == bytes.count
      putContent(bytes.extracting(offset..<offset + count), stream, isLast: endsHere)
      offset += count
    }
    if isLast, taken == bytes.count, !streams[stream].localEnded { finish(stream) }
    return taken
  }

  private mutating func putContent(_ bytes: Span<UInt8>, _ stream: Int, isLast: Bool) {
    streams[stream].lastFrame = sentBefore + output.count
    put(
      FrameHeader(
        length: bytes.count,
        kind: FrameKind.data,
        flags: isLast ? FrameFlag.endStream : 0,
        stream: streams[stream].id
      )
    )
    withOutput { $0.append(copying: bytes) }
    streams[stream].sendWindow -= bytes.count
    sendWindow -= bytes.count
    // Peers are known that open both windows several times for a frame.
    windowUpdates.giveBack(2 + bytes.count / 2048)
    if isLast { streams[stream].localEnded = true }
  }

  /// Ends our side of a stream.
  public mutating func finish(_ stream: Int) {
    guard !streams[stream].localEnded else { return }
    streams[stream].localEnded = true
    let frame = streams[stream].lastFrame - sentBefore
    // If the last frame has not left yet, it can still be told to be the last.
    if frame >= 0 {
      withOutput { $0[frame + 4] |= FrameFlag.endStream }
      return
    }
    put(
      FrameHeader(
        length: 0,
        kind: FrameKind.data,
        flags: FrameFlag.endStream,
        stream: streams[stream].id
      )
    )
  }

  // MARK: Blocks of fields

  /// Puts a block into as many frames as it needs.
  mutating func putBlock(
    _ stream: Int,
    isLast: Bool,
    _ encode: (inout FieldEncoder, inout [UInt8]) -> Void
  ) {
    let start = output.count
    let id = streams[stream].id
    streams[stream].lastFrame = sentBefore + start
    let flags = isLast ? FrameFlag.endStream : 0
    put(FrameHeader(length: 0, kind: FrameKind.headers, flags: flags, stream: id))
    var out: [UInt8] = []
    withOutput { swap(&$0, &out) }
    encoder.begin(into: &out)
    encode(&encoder, &out)
    let first = start + FrameHeader.byteCount
    var left = out.count - first
    out.setLength(min(left, FrameHeader.payloadBytes), at: start)
    if left <= FrameHeader.payloadBytes {
      out[start + 4] |= FrameFlag.endHeaders
    } else {
      let rest = Array(out[(first + FrameHeader.payloadBytes)...])
      out.removeSubrange((first + FrameHeader.payloadBytes)...)
      left = 0
      while left < rest.count {
        let count = min(rest.count - left, FrameHeader.payloadBytes)
        let isEnd = left + count == rest.count
        out.append(
          FrameHeader(
            length: count,
            kind: FrameKind.continuation,
            flags: isEnd ? FrameFlag.endHeaders : 0,
            stream: id
          )
        )
        out += rest[left..<left + count]
        left += count
      }
    }
    withOutput { swap(&$0, &out) }
  }

  /// Encodes the lines from `start` on up to the empty one, without what is of one connection.
  static func encodeFields(
    _ text: Span<UInt8>,
    from start: Int,
    changing changes: RequestChanges = RequestChanges(),
    isTunnel: Bool = false,
    _ encoder: inout FieldEncoder,
    _ out: inout [UInt8],
    _ sent: inout SentHead
  ) {
    let names = FieldNameTable.shared
    var line = start
    while let end = lineEnd(text, line) {
      defer { line = end + 2 }
      guard let colon = ByteSearch.firstIndex(of: 0x3A, in: text, from: line, to: end),
        colon > line
      else { continue }
      let value = HTTPGrammar.trimmed(colon + 1..<end, in: text)
      var isSecret = false
      // What HTTP/1.1 has read or written: no name holds a control byte.
      switch names.name(in: text, at: line, count: colon - line) {
      case .transferEncoding:
        sent.isChunked = true
        continue
      case .connection, .keepAlive, .proxyConnection, .upgrade, .host: continue
      case .contentLength:
        sent.length = number(text.extracting(value))
        if changes.isOfBrowser { continue }
      case .te where changes.isOfBrowser: continue
      case .te:
        guard text.extracting(value).isText("trailers") else { continue }
      case .authorization, .proxyAuthorization, .setCookie, .cookie: isSecret = true
      case .secWebSocketKey where isTunnel: continue
      case .grpcTimeout where !changes.deadline.isEmpty: continue
      case .contentType where !changes.contentType.isEmpty: continue
      default: break
      }
      encoder.put(
        text,
        line..<value.upperBound,
        nameCount: colon - line,
        valueStart: value.lowerBound,
        isSecret: isSecret,
        into: &out
      )
    }
  }

  private static func number(_ text: Span<UInt8>) -> UInt64? {
    guard 1...18 ~= text.count else { return nil }
    var number: UInt64 = 0
    for index in text.indices { number = number * 10 + UInt64(text[index] &- 0x30) }
    return number
  }

  /// Where the line that begins at `start` ends; nil for the empty one and behind the last.
  static func lineEnd(_ text: Span<UInt8>, _ start: Int) -> Int? {
    guard start < text.count,
      let end = ByteSearch.firstIndex(of: 0x0D, in: text, from: start), end > start
    else { return nil }
    return end
  }

  static func nextLine(_ text: Span<UInt8>, _ start: Int) -> Int {
    ByteSearch.firstIndex(of: 0x0A, in: text, from: start).map { $0 + 1 } ?? text.count
  }
}

/// What a head that was sent says about itself.
public struct SentHead: Hashable, Sendable {
  /// The status, as HTTP/1.1 has it.
  public var status: UInt16
  /// The length of the content, where it is said.
  public var length: UInt64?
  /// Whether the content comes in chunks.
  public var isChunked = false
}

extension [UInt8] {
  /// Writes the length into the header of the frame that begins at `offset`.
  fileprivate mutating func setLength(_ length: Int, at offset: Int) {
    self[offset] = UInt8(truncatingIfNeeded: length >> 16)
    self[offset + 1] = UInt8(truncatingIfNeeded: length >> 8)
    self[offset + 2] = UInt8(truncatingIfNeeded: length)
  }
}
