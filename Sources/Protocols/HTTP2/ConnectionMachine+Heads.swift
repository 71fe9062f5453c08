import MartletBytes

/// Heads and trailers that come.
extension ConnectionMachine {
  mutating func takeHeaders(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard header.stream != 0 else { throw ConnectionFault(.protocolError, "headers_on_connection") }
    var start = payload.lowerBound
    var end = payload.upperBound
    if header.has(FrameFlag.padded) {
      guard start < end else { throw ConnectionFault(.frameSizeError, "padding") }
      let padding = Int(bytes[start])
      start += 1
      guard padding <= end - start else { throw ConnectionFault(.protocolError, "padding") }
      end -= padding
    }
    if header.has(FrameFlag.priority) {
      guard end - start >= 5 else { throw ConnectionFault(.frameSizeError, "priority") }
      start += 5
    }
    let isLast = header.has(FrameFlag.endStream)
    let purpose = try purpose(of: header, isLast: isLast, now)
    guard header.has(FrameFlag.endHeaders) else {
      gathering = Gathering(
        id: header.stream,
        purpose: purpose,
        isLast: isLast,
        bytes: Array(copying: bytes.extracting(start..<end))
      )
      return nil
    }
    return try finishBlock(
      bytes.extracting(start..<end),
      id: header.stream,
      purpose,
      isLast: isLast,
      now
    )
  }

  mutating func takeContinuation(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard var block = gathering.take() else { return nil }
    block.frameCount += 1
    // A compressed block is hardly ever longer than what it holds.
    guard block.frameCount <= limits.continuationCount,
      block.bytes.count + payload.count <= limits.fieldBytes + FrameHeader.payloadBytes
    else { throw ConnectionFault(.continuation) }
    block.bytes.append(copying: bytes.extracting(payload))
    guard header.has(FrameFlag.endHeaders) else {
      gathering = block
      return nil
    }
    return try finishBlock(
      block.bytes.span,
      id: block.id,
      block.purpose,
      isLast: block.isLast,
      now
    )
  }

  /// What the head that begins with a frame is for.
  private mutating func purpose(
    of header: FrameHeader,
    isLast: Bool,
    _ now: Int64
  ) throws(ConnectionFault) -> BlockPurpose {
    let id = header.stream
    if let stream = streams.place(of: id) {
      if streams[stream].remoteEnded {
        if streams[stream].wasResetByUs { return .dropped }
        throw ConnectionFault(.streamClosed, "headers_on_closed")
      }
      return streams[stream].headCame ? .trailers(stream: stream) : .head(stream: stream)
    }
    guard isIdle(id) else {
      switch closed.end(of: id) {
      case .resetByUs: return .dropped
      case .ended, .resetByPeer: throw ConnectionFault(.streamClosed, "headers_on_closed")
      // One of ours that has ended long ago.
      case nil where role == .client: return .dropped
      // It was skipped, and closed by that; or it has ended long ago.
      case nil: throw ConnectionFault(.protocolError, "stream_number_too_low")
      }
    }
    guard role == .server, id & 1 == 1 else {
      throw ConnectionFault(.protocolError, "stream_number_of_wrong_side")
    }
    guard !isGoingAway else {
      // Behind the last stream that we have named.
      lastIgnoredStream = max(lastIgnoredStream, id)
      return .dropped
    }
    lastPeerStream = id
    return streams.count < limits.streamCount ? .newStream : .refused
  }

  /// Decodes a block that is complete, and tells what it means.
  private mutating func finishBlock(
    _ block: Span<UInt8>,
    id: UInt32,
    _ purpose: BlockPurpose,
    isLast: Bool,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    switch purpose {
    case .newStream, .refused, .dropped: fields.reset(role == .server ? .request : .response)
    case .head: fields.reset(.response)
    case .trailers: fields.reset(.trailers)
    }
    do throws(FieldDecoder.Defect) {
      try decoder.decode(block, into: &fields, limits: limits)
    } catch {
      throw ConnectionFault(.compressionError, "field_block")
    }
    // Fields that are this many times what is allowed are no oversight.
    guard fields.byteCount <= limits.fieldBytes * 16 else { throw ConnectionFault(.headerBomb) }
    switch purpose {
    case .dropped: return nil
    case .refused:
      try noteFault(now)
      putReset(id, .refusedStream)
      closed.note(id, .resetByUs)
      return nil
    case .newStream: return try beginStream(id, isLast: isLast, now)
    case .head(let stream): return try takeAnswer(stream, isLast: isLast, now)
    case .trailers(let stream): return try takeTrailers(stream, isLast: isLast, now)
    }
  }

  private mutating func beginStream(
    _ id: UInt32,
    isLast: Bool,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    fields.finish(
      isLast: isLast,
      allowsExtendedConnect: limits.allowsExtendedConnect,
      answersHead: false
    )
    if let defect = fields.defect {
      try noteFault(now)
      putReset(id, .protocolError)
      closed.note(id, .resetByUs)
      return .malformed(reason: defect)
    }
    var record = newRecord(id)
    record.remoteEnded = isLast
    record.headCame = true
    record.isHead = fields.isHead
    record.priority = fields.priority
    if let length = fields.contentLength { record.contentLeft = Int64(length) }
    let stream = streams.insert(record)
    pings.giveBack()
    return fields.isTooLarge
      ? .headTooLarge(stream: stream, isLast: isLast) : .head(stream: stream, isLast: isLast)
  }

  /// A stream as it begins.
  func newRecord(_ id: UInt32) -> StreamRecord {
    var record = StreamRecord()
    record.id = id
    record.sendWindow = peer.windowBytes
    record.receiveLimit = max(65_535, limits.streamWindowBytes)
    record.receiveWindow = record.receiveLimit
    return record
  }

  private mutating func takeAnswer(
    _ stream: Int,
    isLast: Bool,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    let isHead = streams[stream].isHead
    fields.finish(
      isLast: isLast,
      allowsExtendedConnect: false,
      answersHead: isHead,
      answersTunnel: streams[stream].isTunnel
    )
    if fields.isTooLarge { return try refuse(stream, .cancel, "head_too_large", now) }
    if let defect = fields.defect { return try refuse(stream, .protocolError, defect, now) }
    if fields.status < 200 {
      guard !isLast else { return try refuse(stream, .protocolError, "interim_end", now) }
      guard emptyFrames.take(at: now) else { throw ConnectionFault(.emptyFrames) }
      return .head(stream: stream, isLast: false)
    }
    streams[stream].headCame = true
    let hasNoContent = isHead || fields.status == 204 || fields.status == 304
    if fields.opensTunnel {
      streams[stream].contentLeft = -1
    } else if let length = fields.contentLength, !hasNoContent {
      guard !isLast || length == 0 else {
        return try refuse(stream, .protocolError, "content_length_mismatch", now)
      }
      streams[stream].contentLeft = Int64(length)
    } else if hasNoContent {
      streams[stream].contentLeft = 0
    }
    if isLast { streams[stream].remoteEnded = true }
    return .head(stream: stream, isLast: isLast)
  }

  private mutating func takeTrailers(
    _ stream: Int,
    isLast: Bool,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard isLast else { return try refuse(stream, .protocolError, "trailers_without_end", now) }
    fields.finish(isLast: true, allowsExtendedConnect: false, answersHead: false)
    if fields.isTooLarge { return try refuse(stream, .cancel, "trailers_too_large", now) }
    if let defect = fields.defect { return try refuse(stream, .protocolError, defect, now) }
    if streams[stream].contentLeft > 0 {
      return try refuse(stream, .protocolError, "content_length_mismatch", now)
    }
    streams[stream].remoteEnded = true
    return .trailers(stream: stream)
  }
}
