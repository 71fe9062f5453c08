import MartletBytes

/// The frames that carry no message.
extension ConnectionMachine {
  // MARK: Windows

  mutating func takeWindowUpdate(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard payload.count == 4 else { throw ConnectionFault(.frameSizeError, "window_update") }
    guard windowUpdates.take(at: now) else { throw ConnectionFault(.windowUpdates) }
    let increment = Int(bytes.number(at: payload.lowerBound) & 0x7FFF_FFFF)
    guard header.stream != 0 else {
      guard increment > 0 else { throw ConnectionFault(.protocolError, "window_update") }
      let wasClosed = sendWindow <= 0
      sendWindow += increment
      guard sendWindow <= Self.largestWindow else {
        throw ConnectionFault(.flowControlError, "window_update")
      }
      return wasClosed && sendWindow > 0 ? .window(stream: nil) : nil
    }
    guard !isIdle(header.stream) else {
      if header.stream <= lastIgnoredStream { return nil }
      throw ConnectionFault(.protocolError, "window_update_on_idle")
    }
    guard let stream = streams.place(of: header.stream), !streams[stream].localEnded else {
      return nil
    }
    guard increment > 0 else { return try refuse(stream, .protocolError, "window_update", now) }
    let wasClosed = streams[stream].sendWindow <= 0
    streams[stream].sendWindow += increment
    guard streams[stream].sendWindow <= Self.largestWindow else {
      return try refuse(stream, .flowControlError, "window_update", now)
    }
    return wasClosed && streams[stream].sendWindow > 0 ? .window(stream: stream) : nil
  }

  static let largestWindow = 0x7FFF_FFFF

  /// Notes that an answer has waited for a window until its time was over.
  ///
  /// - Throws: ``Excess/windowStall`` when there were too many.
  public mutating func noteStall(now: Int64) throws(ConnectionFault) {
    guard !stalls.take(at: now) else { return }
    let fault = ConnectionFault(.windowStall)
    fail(fault)
    throw fault
  }

  // MARK: Settings

  mutating func takeSettings(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard header.stream == 0 else { throw ConnectionFault(.protocolError, "settings_on_stream") }
    if header.has(FrameFlag.acknowledge) {
      guard payload.isEmpty else { throw ConnectionFault(.frameSizeError, "settings") }
      guard emptyFrames.take(at: now) else { throw ConnectionFault(.emptyFrames) }
      return nil
    }
    guard payload.count % 6 == 0 else { throw ConnectionFault(.frameSizeError, "settings") }
    // No peer has a reason to say so much.
    guard payload.count <= 6 * 64, settingsChanges.take(at: now) else {
      throw ConnectionFault(.settings)
    }
    var offset = payload.lowerBound
    while offset < payload.upperBound {
      let name = UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
      try set(name, to: bytes.number(at: offset + 2))
      offset += 6
    }
    hasSettings = true
    put(FrameHeader(length: 0, kind: FrameKind.settings, flags: FrameFlag.acknowledge, stream: 0))
    return .settings
  }

  private mutating func set(_ name: UInt16, to value: UInt32) throws(ConnectionFault) {
    switch name {
    case Setting.tableBytes: encoder.allow(tableBytes: Int(value))
    case Setting.push:
      guard value == 0 || role == .server && value == 1 else {
        throw ConnectionFault(.protocolError, "setting_push")
      }
    case Setting.streamCount: peer.streamCount = Int(value)
    case Setting.windowBytes:
      guard value <= UInt32(Self.largestWindow) else {
        throw ConnectionFault(.flowControlError, "setting_window")
      }
      let change = Int(value) - peer.windowBytes
      peer.windowBytes = Int(value)
      guard change != 0 else { return }
      for stream in streams.places where !streams[stream].localEnded {
        streams[stream].sendWindow += change
        guard streams[stream].sendWindow <= Self.largestWindow else {
          throw ConnectionFault(.flowControlError, "setting_window")
        }
      }
    case Setting.frameBytes:
      guard 16_384...16_777_215 ~= value else {
        throw ConnectionFault(.protocolError, "setting_frame")
      }
      peer.frameBytes = Int(value)
    case Setting.extendedConnect:
      guard value <= 1 else { throw ConnectionFault(.protocolError, "setting_connect") }
      peer.allowsExtendedConnect = value == 1
    default: break
    }
  }

  // MARK: Pings, resets, the end

  mutating func takePing(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) {
    guard header.stream == 0 else { throw ConnectionFault(.protocolError, "ping_on_stream") }
    guard payload.count == 8 else { throw ConnectionFault(.frameSizeError, "ping") }
    guard pings.take(at: now) else { throw ConnectionFault(.ping) }
    guard !header.has(FrameFlag.acknowledge) else {
      let content = bytes.extracting(payload)
      if content.isText("liveness") { awaitsPing = false }
      // The peer has seen that an end is near: what it opens from now on it knows to be refused.
      if isShuttingDown, content.isText("shutdown") { goAway() }
      return
    }
    put(FrameHeader(length: 8, kind: FrameKind.ping, flags: FrameFlag.acknowledge, stream: 0))
    let content = Array(copying: bytes.extracting(payload))
    withOutput { $0 += content }
  }

  /// Asks the peer for a sign of life; see ``ConnectionMachine/awaitsPing``.
  public mutating func ping() {
    guard fault == nil else { return }
    awaitsPing = true
    put(FrameHeader(length: 8, kind: FrameKind.ping, stream: 0))
    withOutput { $0 += Self.livenessPing }
  }

  static let livenessPing: [UInt8] = Array("liveness".utf8)

  mutating func takeReset(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard header.stream != 0 else { throw ConnectionFault(.protocolError, "reset_on_connection") }
    guard payload.count == 4 else { throw ConnectionFault(.frameSizeError, "reset") }
    guard !isIdle(header.stream) else {
      if header.stream <= lastIgnoredStream { return nil }
      throw ConnectionFault(.protocolError, "reset_on_idle")
    }
    guard let stream = streams.place(of: header.stream), !streams[stream].isClosed else {
      guard emptyFrames.take(at: now) else { throw ConnectionFault(.emptyFrames) }
      return nil
    }
    if role == .server {
      guard resets.take(at: now) else { throw ConnectionFault(.rapidReset) }
    }
    close(stream)
    let code = ErrorCode(rawValue: bytes.number(at: payload.lowerBound))
    return .reset(stream: stream, code, fault: nil)
  }

  mutating func takeGoAway(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) -> Event? {
    guard header.stream == 0 else { throw ConnectionFault(.protocolError, "go_away_on_stream") }
    guard payload.count >= 8 else { throw ConnectionFault(.frameSizeError, "go_away") }
    guard emptyFrames.take(at: now) else { throw ConnectionFault(.emptyFrames) }
    let last = bytes.number(at: payload.lowerBound) & 0x7FFF_FFFF
    peerLastStream = min(last, peerLastStream ?? last)
    return .goAway(
      lastStream: last,
      ErrorCode(rawValue: bytes.number(at: payload.lowerBound + 4))
    )
  }

  // MARK: Priorities

  mutating func takeOldPriority(
    _ header: FrameHeader,
    _ now: Int64
  ) throws(ConnectionFault) {
    guard header.stream != 0 else { throw ConnectionFault(.protocolError, "priority") }
    guard header.length == 5 else { throw ConnectionFault(.frameSizeError, "priority") }
    guard priorities.take(at: now) else { throw ConnectionFault(.priorityChurn) }
  }

  mutating func takePriorityUpdate(
    _ header: FrameHeader,
    _ bytes: Span<UInt8>,
    _ payload: Range<Int>,
    _ now: Int64
  ) throws(ConnectionFault) {
    guard header.stream == 0, role == .server else {
      throw ConnectionFault(.protocolError, "priority_update")
    }
    guard payload.count >= 4 else { throw ConnectionFault(.frameSizeError, "priority_update") }
    guard priorities.take(at: now) else { throw ConnectionFault(.priorityChurn) }
    let id = bytes.number(at: payload.lowerBound) & 0x7FFF_FFFF
    guard id & 1 == 1 else { throw ConnectionFault(.protocolError, "priority_update") }
    guard let stream = streams.place(of: id) else { return }
    streams[stream].priority = Priority(
      bytes.extracting(payload.lowerBound + 4..<payload.upperBound)
    )
  }
}
