import HTTPMessage
import MartletBytes

/// From the text of HTTP/1.1 to frames.
extension ConnectionMachine {
  /// Opens a stream with a request; `head` is its head as HTTP/1.1 writes it, with its empty line.
  ///
  /// - Returns: The stream; nil when the peer takes no more of them.
  public mutating func open(
    _ head: Span<UInt8>,
    isSecure: Bool,
    isLast: Bool
  ) -> Int? {
    guard role == .client, canOpen else { return nil }
    let id = nextStream
    nextStream += 2
    var record = newRecord(id)
    record.isHead = head.count >= 5 && head.extracting(0..<5).isText("HEAD ")
    let stream = streams.insert(record)
    putBlock(stream, isLast: isLast) { encoder, out in
      Self.encodeRequest(head, isSecure: isSecure, &encoder, &out)
    }
    streams[stream].headWent = true
    if isLast { streams[stream].localEnded = true }
    return stream
  }

  /// Whether the peer takes a further stream.
  public var canOpen: Bool {
    hasSettings && fault == nil && !isShuttingDown && peerLastStream == nil
      && streams.count < min(peer.streamCount, limits.streamCount) && nextStream < 0x7FFF_FFFF
  }

  /// Sends the head of an answer, as HTTP/1.1 writes it, with its empty line; interim ones too.
  ///
  /// What is of one connection only is left out.
  public mutating func sendHead(_ head: Span<UInt8>, on stream: Int, isLast: Bool) {
    guard !streams[stream].localEnded, head.count >= 12 else { return }
    let status =
      UInt16(head[9] &- 0x30) * 100 + UInt16(head[10] &- 0x30) * 10 + UInt16(head[11] &- 0x30)
    putBlock(stream, isLast: isLast) { encoder, out in
      encoder.put(status: status, into: &out)
      Self.encodeFields(head, from: Self.nextLine(head, 0), &encoder, &out)
    }
    streams[stream].headWent = status >= 200
    // An interim answer is never the last frame.
    if status < 200 { streams[stream].lastFrame = -1 }
    if isLast { streams[stream].localEnded = true }
  }

  /// Sends trailers, each as a line with its end, and with them the end of the stream.
  public mutating func sendTrailers(_ lines: Span<UInt8>, on stream: Int) {
    guard !streams[stream].localEnded else { return }
    guard !lines.isEmpty else { return finish(stream) }
    putBlock(stream, isLast: true) { encoder, out in
      Self.encodeFields(lines, from: 0, &encoder, &out)
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
    windowUpdates.giveBack()
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
  private mutating func putBlock(
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

  private static func encodeRequest(
    _ head: Span<UInt8>,
    isSecure: Bool,
    _ encoder: inout FieldEncoder,
    _ out: inout [UInt8]
  ) {
    let methodEnd = ByteSearch.firstIndex(of: 0x20, in: head, from: 0) ?? 0
    let targetStart = min(methodEnd + 1, head.count)
    let targetEnd = ByteSearch.firstIndex(of: 0x20, in: head, from: targetStart) ?? targetStart
    let method = head.extracting(0..<methodEnd)
    if method.isText("GET") {
      encoder.put(known: StaticFields.methodGet, into: &out)
    } else if method.isText("POST") {
      encoder.put(known: StaticFields.methodPost, into: &out)
    } else {
      encoder.put(pseudo: StaticFields.methodGet, method, into: &out)
    }
    let isConnect = method.isText("CONNECT")
    if !isConnect {
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
    encodeFields(head, from: fields, &encoder, &out)
  }

  /// Encodes the lines from `start` on up to the empty one, without what is of one connection.
  private static func encodeFields(
    _ text: Span<UInt8>,
    from start: Int,
    _ encoder: inout FieldEncoder,
    _ out: inout [UInt8]
  ) {
    var line = start
    while let end = lineEnd(text, line) {
      defer { line = end + 2 }
      guard let colon = ByteSearch.firstIndex(of: 0x3A, in: text, from: line, to: end),
        colon > line
      else { continue }
      let value = HTTPGrammar.trimmed(colon + 1..<end, in: text)
      var isSecret = false
      switch FieldName(text.extracting(line..<colon)) {
      case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .host: continue
      case .te:
        guard text.extracting(value).isText("trailers") else { continue }
      case .authorization, .proxyAuthorization, .setCookie, .cookie: isSecret = true
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

  /// Where the line that begins at `start` ends; nil for the empty one and behind the last.
  private static func lineEnd(_ text: Span<UInt8>, _ start: Int) -> Int? {
    guard start < text.count,
      let end = ByteSearch.firstIndex(of: 0x0D, in: text, from: start), end > start
    else { return nil }
    return end
  }

  private static func nextLine(_ text: Span<UInt8>, _ start: Int) -> Int {
    ByteSearch.firstIndex(of: 0x0A, in: text, from: start).map { $0 + 1 } ?? text.count
  }
}

extension [UInt8] {
  /// Writes the length into the header of the frame that begins at `offset`.
  fileprivate mutating func setLength(_ length: Int, at offset: Int) {
    self[offset] = UInt8(truncatingIfNeeded: length >> 16)
    self[offset + 1] = UInt8(truncatingIfNeeded: length >> 8)
    self[offset + 2] = UInt8(truncatingIfNeeded: length)
  }
}
