import MartletBytes

/// One connection of HTTP/2: bytes and calls in, events and bytes out.
///
/// A stream has a place, a small number that it keeps from its head until ``release(_:)``, however it
/// ends on the wire. So whoever serves it can go on at leisure, and a peer cannot have more served at
/// a time than it may have open.
///
/// - Source: RFC 9113.
public struct ConnectionMachine: ~Copyable, Sendable {
  /// Which end of the connection this is.
  public enum Role: Sendable {
    case server
    case client
  }

  /// What has come.
  public enum Event: Hashable, Sendable {
    /// A head, which stands in ``ConnectionMachine/fields`` until the next call; `isLast`: nothing
    /// follows. Interim answers come as heads too.
    case head(stream: Int, isLast: Bool)
    /// A request's head is larger than is allowed: it is to be answered with 431.
    case headTooLarge(stream: Int, isLast: Bool)
    /// The fields behind the content, which stand in ``ConnectionMachine/fields``; nothing follows.
    case trailers(stream: Int)
    /// Bytes of the buffer that are content. Whoever has used them says so: ``consumed(_:of:)``.
    case data(stream: Int, Range<Int>, isLast: Bool)
    /// The stream has ended early, by the peer or, with `fault`, by us.
    case reset(stream: Int, ErrorCode, fault: String?)
    /// A message was malformed, and its stream was reset before anybody had to know of it.
    case malformed(reason: String)
    /// A stream's window has opened; nil: that of the connection.
    case window(stream: Int?)
    /// The peer's settings are known, or have changed.
    case settings
    /// The peer takes no streams behind this one.
    case goAway(lastStream: UInt32, ErrorCode)
  }

  /// What a client sends first.
  ///
  /// RFC 9113, section 3.4.
  public static let preface: [UInt8] = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  let role: Role
  let limits: ConnectionLimits
  /// The fields of the last head or trailers.
  public internal(set) var fields = DecodedFields()

  var streams = StreamTable()
  var closed = ClosedStreams()
  var decoder = FieldDecoder()
  var encoder = FieldEncoder()
  /// What has gone wrong for good.
  public internal(set) var fault: ConnectionFault?

  // What has come.

  var prefaceCount = 0
  var hasSettings = false
  /// The highest number of a stream that the peer has opened.
  var lastPeerStream: UInt32 = 0
  /// The highest number of a stream that came too late to be looked at.
  var lastIgnoredStream: UInt32 = 0
  var content: Content?
  var gathering: Gathering?
  var peer = PeerSettings()
  var receiveWindow: Int
  var untold = 0

  // What is sent.

  /// The bytes that wait to be sent.
  public private(set) var output: [UInt8] = []
  /// How many bytes went before those of ``output``.
  var sentBefore = 0
  /// What the connection may still send.
  public internal(set) var sendWindow = 65_535
  var nextStream: UInt32 = 1
  /// Whether a ``ping()`` was not answered yet.
  public internal(set) var awaitsPing = false

  // The end.

  /// Whether new streams of the peer are refused since it was told which was the last.
  public internal(set) var isGoingAway = false
  /// Whether the peer was told that an end is near.
  public internal(set) var isShuttingDown = false
  /// The last stream that the peer will look at, once it has said so.
  public internal(set) var peerLastStream: UInt32?

  var resets: Account
  var faults: Account
  var settingsChanges: Account
  var pings: Account
  var emptyFrames: Account
  var windowUpdates: Account
  var priorities: Account
  var stalls: Account

  /// Begins a connection: what it has to say first is in ``output``.
  public init(_ role: Role, limits: ConnectionLimits) {
    self.role = role
    self.limits = limits
    resets = Account(limits.resets)
    faults = Account(limits.faults)
    settingsChanges = Account(limits.settings)
    pings = Account(limits.pings)
    emptyFrames = Account(limits.emptyFrames)
    windowUpdates = Account(limits.windowUpdates)
    priorities = Account(limits.priorities)
    stalls = Account(limits.stalls)
    receiveWindow = max(65_535, limits.connectionWindowBytes)
    if role == .client {
      output = Self.preface
      prefaceCount = Self.preface.count
    }
    putFirstSettings()
  }

  private mutating func putFirstSettings() {
    var settings: [(UInt16, UInt32)] = [
      (Setting.fieldBytes, UInt32(clamping: limits.fieldBytes))
    ]
    if role == .server {
      settings.append((Setting.streamCount, UInt32(clamping: limits.streamCount)))
      // Priorities are those of RFC 9218.
      settings.append((Setting.noOldPriorities, 1))
      if limits.allowsExtendedConnect { settings.append((Setting.extendedConnect, 1)) }
    } else {
      settings.append((Setting.push, 0))
    }
    if limits.streamWindowBytes > 65_535 {
      settings.append((Setting.windowBytes, UInt32(clamping: limits.streamWindowBytes)))
    }
    output.append(FrameHeader(length: settings.count * 6, kind: FrameKind.settings, stream: 0))
    for (name, value) in settings {
      output.append(UInt8(name >> 8))
      output.append(UInt8(truncatingIfNeeded: name))
      output.append(number: value)
    }
    if receiveWindow > 65_535 { putWindowUpdate(0, receiveWindow - 65_535) }
  }

  // MARK: Streams

  /// How many streams are open or still served.
  public var streamCount: Int { streams.count }

  /// The number of a stream on the wire.
  public func number(of stream: Int) -> UInt32 { streams[stream].id }

  /// How urgent a stream is.
  public func priority(of stream: Int) -> Priority { streams[stream].priority }

  /// Whether a stream has ended on the wire, in order or by a reset.
  public func isClosed(_ stream: Int) -> Bool { streams[stream].isClosed }

  /// Whether a stream was reset.
  public func isReset(_ stream: Int) -> Bool { streams[stream].isReset }

  /// Whether nothing more comes on a stream.
  public func hasEnded(_ stream: Int) -> Bool { streams[stream].remoteEnded }

  /// How many bytes of content a stream may send now: the least of its window, that of the
  /// connection, and the room there is for what waits.
  public func room(on stream: Int) -> Int {
    guard !streams[stream].localEnded else { return 0 }
    return max(0, min(streams[stream].sendWindow, sendWindow, limits.outputBytes - output.count))
  }

  /// Whether a stream is kept from sending by its window or the connection's.
  public func isStalled(_ stream: Int) -> Bool {
    !streams[stream].localEnded && min(streams[stream].sendWindow, sendWindow) <= 0
  }

  /// Lets go of a stream that nobody serves any more.
  ///
  /// What it has not sent or received to the end ends with a reset: an answer that is complete while
  /// the request still comes, in a way that does the answer no harm (RFC 9113, section 8.1).
  public mutating func release(_ stream: Int) {
    if !streams[stream].isClosed {
      reset(stream, streams[stream].localEnded ? .noError : .cancel)
    } else if !streams[stream].isReset {
      resets.giveBack()
    }
    let record = streams[stream]
    giveBackWindow(record.unconsumed)
    if record.isReset {
      closed.note(record.id, record.wasResetByUs ? .resetByUs : .resetByPeer)
    } else {
      closed.note(record.id, .ended)
    }
    streams.remove(stream)
  }

  /// Resets a stream, unless it has ended already.
  public mutating func reset(_ stream: Int, _ code: ErrorCode) {
    guard !streams[stream].isClosed else { return }
    putReset(streams[stream].id, code)
    streams[stream].wasResetByUs = true
    close(stream)
  }

  /// Gives up a stream that the peer has said it will never look at; it is not told.
  public mutating func abandon(_ stream: Int) {
    guard !streams[stream].isClosed else { return }
    streams[stream].wasResetByUs = true
    close(stream)
  }

  /// Notes that nothing comes or goes on a stream any more.
  mutating func close(_ stream: Int) {
    streams[stream].isReset = true
    streams[stream].remoteEnded = true
    streams[stream].localEnded = true
    giveBackWindow(streams[stream].unconsumed)
    streams[stream].unconsumed = 0
  }

  // MARK: Output

  /// Takes the bytes that are to be sent; `buffer` is used again for what comes next.
  public mutating func takeOutput(into buffer: inout [UInt8]) {
    sentBefore += output.count
    buffer.removeAll(keepingCapacity: true)
    swap(&buffer, &output)
  }

  /// Takes the text of the last head, in place of what `buffer` holds.
  public mutating func takeHead(into buffer: inout [UInt8]) { fields.swapHead(&buffer) }

  /// Gives up memory that an idle connection does not need.
  public mutating func releaseMemory() {
    if output.isEmpty { output = [] }
    fields.release()
  }

  mutating func put(_ header: FrameHeader) { output.append(header) }

  mutating func withOutput<Result>(_ body: (inout [UInt8]) -> Result) -> Result { body(&output) }

  mutating func putReset(_ id: UInt32, _ code: ErrorCode) {
    output.append(FrameHeader(length: 4, kind: FrameKind.resetStream, stream: id))
    output.append(number: code.rawValue)
  }

  mutating func putWindowUpdate(_ id: UInt32, _ increment: Int) {
    output.append(FrameHeader(length: 4, kind: FrameKind.windowUpdate, stream: id))
    output.append(number: UInt32(clamping: increment))
  }

  // MARK: The end

  /// Tells the peer that the connection will end, and after it has answered which stream was the
  /// last: none that it has opened meanwhile is lost.
  public mutating func shutDown() {
    guard !isShuttingDown, fault == nil else { return }
    isShuttingDown = true
    guard role == .server else { return putGoAway(0, .noError) }
    putGoAway(0x7FFF_FFFF, .noError)
    output.append(FrameHeader(length: 8, kind: FrameKind.ping, stream: 0))
    output += Self.shutdownPing
  }

  /// Tells the peer which stream was the last, now.
  public mutating func goAway(_ code: ErrorCode = .noError) {
    guard !isGoingAway, fault == nil else { return }
    isShuttingDown = true
    isGoingAway = true
    putGoAway(role == .server ? lastPeerStream : 0, code)
  }

  /// Whether nothing is under way and nothing new is taken.
  public var isOver: Bool {
    fault != nil || isGoingAway && streams.count == 0
  }

  /// Ends the connection for something that the caller has seen: the next call of
  /// ``next(in:at:now:)`` does nothing.
  public mutating func fail(_ fault: ConnectionFault) {
    guard self.fault == nil else { return }
    self.fault = fault
    putGoAway(lastPeerStream, fault.code, fault.reason)
  }

  mutating func putGoAway(_ last: UInt32, _ code: ErrorCode, _ reason: String = "") {
    let text = Array(reason.utf8)
    output.append(FrameHeader(length: 8 + text.count, kind: FrameKind.goAway, stream: 0))
    output.append(number: last)
    output.append(number: code.rawValue)
    output += text
  }

  static let shutdownPing: [UInt8] = Array("shutdown".utf8)
}

/// What a peer has set.
struct PeerSettings: Sendable {
  var windowBytes = 65_535
  var frameBytes = FrameHeader.payloadBytes
  var streamCount = Int.max
  var allowsExtendedConnect = false
}

/// The settings that are known.
///
/// RFC 9113, section 6.5.2; RFC 8441, section 3; RFC 9218, section 2.1.
enum Setting {
  static let tableBytes: UInt16 = 1
  static let push: UInt16 = 2
  static let streamCount: UInt16 = 3
  static let windowBytes: UInt16 = 4
  static let frameBytes: UInt16 = 5
  static let fieldBytes: UInt16 = 6
  static let extendedConnect: UInt16 = 8
  static let noOldPriorities: UInt16 = 9
}

/// A DATA frame that has not come to its end.
struct Content: Sendable {
  /// Nil: what it carries is of no use any more.
  var stream: Int?
  var dataLeft: Int
  var paddingLeft: Int
  var isLast: Bool
  /// Whether the stream has more or less content than was said, as the length of the frame shows.
  var isWrong = false
}

/// A head that is spread over several frames.
struct Gathering: Sendable {
  var id: UInt32
  var purpose: BlockPurpose
  var isLast: Bool
  var bytes: [UInt8]
  var frameCount = 0
}

/// What a block of fields is for.
enum BlockPurpose: Sendable {
  case newStream
  /// A request that is refused: as one too many, or since the connection ends.
  case refused
  case head(stream: Int)
  case trailers(stream: Int)
  /// It belongs to a stream that has ended: it is decoded, since the tables need it, and dropped.
  case dropped
}
