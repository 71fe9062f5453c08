import MartletBytes

/// From bytes to events.
extension ConnectionMachine {
  /// Takes the next step in `bytes`, from `offset` on, and moves `offset` behind what it used.
  ///
  /// `now` are nanoseconds of any clock that only goes forward; budgets refill by it.
  ///
  /// - Returns: What has come; nil when more bytes are needed: those from `offset` on, at most one
  ///   frame, are to be given again with more behind them.
  /// - Throws: ``ConnectionFault``; ``output`` ends with a GOAWAY then, and nothing else is to be done
  ///   but to send it and to close.
  public mutating func next(
    in bytes: Span<UInt8>,
    at offset: inout Int,
    now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard fault == nil else { return nil }
    do throws(ConnectionFault) {
      return try step(bytes, &offset, now)
    } catch {
      fail(error)
      throw error
    }
  }

  private mutating func step(
    _ bytes: Span<UInt8>,
    _ offset: inout Int,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard try takePreface(bytes, &offset) else { return nil }
    while true {
      if content != nil {
        let event = try takeContent(bytes, &offset, now)
        if event != nil { return event }
        if content != nil { return nil }
        continue
      }
      guard offset + FrameHeader.byteCount <= bytes.count else { return nil }
      let header = FrameHeader(bytes, at: offset)
      guard header.length <= FrameHeader.payloadBytes else {
        throw ConnectionFault(.frameSizeError, "frame_too_large")
      }
      try checkOrder(header)
      if header.kind == FrameKind.data {
        guard try beginContent(header, bytes, &offset, now) else { return nil }
        continue
      }
      let end = offset + FrameHeader.byteCount + header.length
      guard end <= bytes.count else { return nil }
      let payload = offset + FrameHeader.byteCount..<end
      offset = end
      if let event = try take(header, bytes, payload, now) { return event }
    }
  }

  private mutating func takePreface(
    _ bytes: Span<UInt8>,
    _ offset: inout Int
  ) throws(ConnectionFault) -> Bool {
    while prefaceCount < Self.preface.count {
      guard offset < bytes.count else { return false }
      guard bytes[offset] == Self.preface[prefaceCount] else {
        throw ConnectionFault(.protocolError, "no_preface")
      }
      offset += 1
      prefaceCount += 1
    }
    return true
  }

  /// What may come now: settings first, and nothing between the frames of a head.
  private func checkOrder(_ header: FrameHeader) throws(ConnectionFault) {
    if !hasSettings {
      guard header.kind == FrameKind.settings, !header.has(FrameFlag.acknowledge) else {
        throw ConnectionFault(.protocolError, "settings_not_first")
      }
    }
    if let gathering {
      guard header.kind == FrameKind.continuation, header.stream == gathering.id else {
        throw ConnectionFault(.protocolError, "continuation_expected")
      }
    } else if header.kind == FrameKind.continuation {
      throw ConnectionFault(.protocolError, "continuation_without_head")
    }
  }

  private mutating func take(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    switch header.kind {
    case FrameKind.headers: return try takeHeaders(header, bytes, payload, now)
    case FrameKind.continuation: return try takeContinuation(header, bytes, payload, now)
    case FrameKind.windowUpdate: return try takeWindowUpdate(header, bytes, payload, now)
    case FrameKind.settings: return try takeSettings(header, bytes, payload, now)
    case FrameKind.ping: try takePing(header, bytes, payload, now)
    case FrameKind.resetStream: return try takeReset(header, bytes, payload, now)
    case FrameKind.goAway: return try takeGoAway(header, bytes, payload, now)
    case FrameKind.priority: try takeOldPriority(header, now)
    case FrameKind.priorityUpdate: try takePriorityUpdate(header, bytes, payload, now)
    case FrameKind.pushPromise: throw ConnectionFault(.protocolError, "push_promise")
    default:
      // Frames that nobody knows are ignored: RFC 9113, section 4.1.
      guard emptyFrames.take(at: now) else { throw ConnectionFault(.emptyFrames) }
    }
    return nil
  }

  /// Whether a stream was never opened: only PRIORITY may name it.
  func isIdle(_ id: UInt32) -> Bool {
    switch role {
    case .server: id & 1 == 0 || id > lastPeerStream
    case .client: id & 1 == 0 || id >= nextStream
    }
  }

  /// Resets a stream for a fault of the peer.
  ///
  /// - Throws: ``Excess/madeYouReset`` when there were too many.
  mutating func refuse(
    _ stream: Int,
    _ code: ErrorCode,
    _ reason: String,
    _ now: Int64
  ) throws(ConnectionFault) -> Event {
    try noteFault(now)
    reset(stream, code)
    return .reset(stream: stream, code, fault: reason)
  }

  mutating func noteFault(_ now: Int64) throws(ConnectionFault) {
    guard faults.take(at: now) else { throw ConnectionFault(.madeYouReset) }
  }

  // MARK: DATA

  /// Begins with a DATA frame.
  ///
  /// - Returns: False when its first bytes are not all there.
  private mutating func beginContent(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ offset: inout Int,
    _ now: Int64
  ) throws(ConnectionFault) -> Bool {
    guard header.stream != 0 else { throw ConnectionFault(.protocolError, "data_on_connection") }
    guard !isIdle(header.stream) else { throw ConnectionFault(.protocolError, "data_on_idle") }
    var padding = 0
    var used = FrameHeader.byteCount
    if header.has(FrameFlag.padded) {
      guard header.length > 0 else { throw ConnectionFault(.frameSizeError, "padding") }
      guard offset + used < bytes.count else { return false }
      padding = Int(bytes[offset + used])
      used += 1
      guard padding < header.length else { throw ConnectionFault(.protocolError, "padding") }
    }
    offset += used
    let isLast = header.has(FrameFlag.endStream)
    let data = header.length - padding - (used - FrameHeader.byteCount)
    if data == 0, !isLast {
      guard emptyFrames.take(at: now) else { throw ConnectionFault(.emptyFrames) }
    }
    guard header.length <= receiveWindow else {
      throw ConnectionFault(.flowControlError, "connection_window")
    }
    receiveWindow -= header.length
    content = Content(stream: nil, dataLeft: data, paddingLeft: padding, isLast: isLast)
    try admit(header, data, now)
    return true
  }

  /// Finds the stream that content is for, and takes it off its window.
  private mutating func admit(
    _ header: FrameHeader,
    _ data: Int,
    _ now: Int64
  ) throws(ConnectionFault) {
    guard let stream = streams.place(of: header.stream) else {
      giveBackWindow(header.length)
      switch closed.end(of: header.stream) {
      // The peer may not have seen yet that we have reset it.
      case .resetByUs: return
      case .ended, .resetByPeer: throw ConnectionFault(.streamClosed, "data_on_closed")
      case nil where role == .client: return
      case nil:
        try noteFault(now)
        return putReset(header.stream, .streamClosed)
      }
    }
    guard !streams[stream].remoteEnded else {
      giveBackWindow(header.length)
      guard streams[stream].wasResetByUs else {
        throw ConnectionFault(.streamClosed, "data_on_closed")
      }
      return
    }
    guard streams[stream].headCame else {
      throw ConnectionFault(.protocolError, "data_before_head")
    }
    content?.stream = stream
    // Padding is used as soon as it has come.
    giveBackWindow(header.length - data)
    guard header.length <= streams[stream].receiveWindow else {
      throw ConnectionFault(.flowControlError, "stream_window")
    }
    streams[stream].receiveWindow -= header.length
    streams[stream].untold += header.length - data
    streams[stream].unconsumed += data
    guard streams[stream].contentLeft >= 0 else { return }
    streams[stream].contentLeft -= Int64(data)
    let left = streams[stream].contentLeft
    // Known before any of it is passed on, however the frame comes in.
    content?.isWrong = left < 0 || header.has(FrameFlag.endStream) && left > 0
  }

  /// Goes on with a DATA frame.
  private mutating func takeContent(
    _ bytes: Span<UInt8>,
    _ offset: inout Int,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard var current = content else { return nil }
    let data = offset..<offset + min(current.dataLeft, bytes.count - offset)
    offset = data.upperBound
    current.dataLeft -= data.count
    if current.dataLeft == 0 {
      let padding = min(current.paddingLeft, bytes.count - offset)
      offset += padding
      current.paddingLeft -= padding
    }
    let isOver = current.dataLeft == 0 && current.paddingLeft == 0
    content = isOver ? nil : current
    guard let stream = current.stream, !streams[stream].remoteEnded else { return nil }
    let isLast = isOver && current.isLast
    if current.isWrong {
      // What else comes of the frame is nobody's.
      content?.stream = nil
      return try refuse(stream, .protocolError, "content_length_mismatch", now)
    }
    if isLast { streams[stream].remoteEnded = true }
    guard !data.isEmpty || isLast else { return nil }
    return .data(stream: stream, data, isLast: isLast)
  }

  /// Says that `count` bytes of a stream's content were used: there is room for more.
  public mutating func consumed(_ count: Int, of stream: Int) {
    guard !streams[stream].isReset else { return }
    streams[stream].unconsumed -= count
    streams[stream].untold += count
    giveBackWindow(count)
    guard !streams[stream].remoteEnded else { return }
    let limit = streams[stream].receiveLimit
    guard streams[stream].untold * 2 >= limit else { return }
    var increment = streams[stream].untold
    if streams[stream].unconsumed == 0, limit < limits.streamWindowMaxBytes {
      // Whatever came was used at once: the window is what holds the peer up.
      let grown = min(limit * 2, limits.streamWindowMaxBytes)
      increment += grown - limit
      streams[stream].receiveLimit = grown
    }
    streams[stream].untold = 0
    streams[stream].receiveWindow += increment
    putWindowUpdate(streams[stream].id, increment)
  }

  /// Opens the connection's window by what was used, once that is worth a frame.
  mutating func giveBackWindow(_ count: Int) {
    untold += count
    guard untold * 2 >= max(65_535, limits.connectionWindowBytes) else { return }
    receiveWindow += untold
    putWindowUpdate(0, untold)
    untold = 0
  }
}
