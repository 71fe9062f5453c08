import MartletBytes

/// Reads the requests that come on a connection of FastCGI, one after the other: the side of the application.
///
/// The caller keeps the buffer and calls ``next(in:at:)`` until it asks for more bytes. One request at a time is
/// taken, and one role: that of the responder.
///
/// - Source: FastCGI 1.0, sections 3, 5 and 6.2.
public struct FastCGIRequest: Sendable {
  /// What the caller does next.
  public enum Event: Hashable, Sendable {
    /// Everything given was used: read more.
    case needsBytes
    /// The variables of a request have come.
    case head
    /// These bytes of the buffer are content of the request.
    case content(Range<Int>)
    /// The request has come as a whole.
    case end
    /// Whoever has asked does not want the answer any more.
    case abort
  }

  private enum State: Sendable {
    case header
    case content(FastCGIRecord.Kind, left: Int)
    case padding(Int)
  }

  /// How far a request has come.
  private enum Step: Sendable {
    case none, params, content
  }

  /// The number of the present request.
  public private(set) var number: UInt16 = 0
  /// Whether the connection carries another request afterwards.
  public private(set) var keepsConnection = false
  /// The variables of the present request, in their order.
  public private(set) var variables: [(name: String, value: String)] = []
  private let byteLimit: Int
  private var state = State.header
  private var step = Step.none
  private var paddingCount = 0
  private var header = InlineArray<8, UInt8>(repeating: 0)
  private var headerCount = 0
  private var kept: [UInt8] = []

  /// Creates a reader; the variables of a request have at most `byteLimit` bytes.
  public init(byteLimit: Int = 256 << 10) { self.byteLimit = byteLimit }

  /// The value of a variable.
  ///
  /// - Complexity: O(*n*) in the variables.
  public subscript(name: String) -> String? { variables.first { $0.name == name }?.value }

  /// Takes the next step in `bytes`, from `offset` on, and moves `offset` behind what it used.
  ///
  /// - Throws: ``GatewayFault``; the connection is of no use any more.
  public mutating func next(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(GatewayFault) -> Event {
    while true {
      switch state {
      case .header:
        while headerCount < 8, offset < bytes.count {
          header[headerCount] = bytes[offset]
          headerCount += 1
          offset += 1
        }
        guard headerCount == 8 else { return .needsBytes }
        headerCount = 0
        if let event = try begin(FastCGIRecord(header.span)) { return event }
      case .content(let kind, let left):
        guard offset < bytes.count else { return .needsBytes }
        let range = offset..<offset + min(left, bytes.count - offset)
        offset = range.upperBound
        let isWhole = range.count == left
        if isWhole { endContent() } else { state = .content(kind, left: left - range.count) }
        if kind == .standardInput { return .content(range) }
        guard kept.count + range.count <= byteLimit else { throw .headTooLong }
        kept.append(copying: bytes.extracting(range))
        if isWhole, kind == .beginRequest { try takeBegin() }
      case .padding(let left):
        guard offset < bytes.count else { return .needsBytes }
        let count = min(left, bytes.count - offset)
        offset += count
        state = count == left ? .header : .padding(left - count)
      }
    }
  }

  private mutating func endContent() { state = paddingCount > 0 ? .padding(paddingCount) : .header }

  private mutating func begin(_ record: FastCGIRecord) throws(GatewayFault) -> Event? {
    paddingCount = record.paddingCount
    switch (record.kind, step) {
    case (.beginRequest, .none):
      guard record.request != 0 else { throw .recordRequest }
      guard record.contentCount == 8 else { throw .endLength }
      number = record.request
    case (.params, .params), (.standardInput, .content), (.abortRequest, .params),
      (.abortRequest, .content):
      guard record.request == number else { throw .recordRequest }
    // Of a request that is over.
    case (.abortRequest, .none): break
    default: throw .recordType
    }
    guard record.contentCount == 0 else {
      guard record.kind != .abortRequest else { throw .endLength }
      state = .content(record.kind, left: record.contentCount)
      return nil
    }
    endContent()
    switch (record.kind, step) {
    case (.params, _):
      try takePairs()
      step = .content
      return .head
    case (.standardInput, _):
      step = .none
      return .end
    case (.abortRequest, .none): return nil
    case (.abortRequest, _):
      step = .none
      return .abort
    default: return nil
    }
  }

  private mutating func takeBegin() throws(GatewayFault) {
    guard kept[0] == 0, kept[1] == FastCGIRecord.Role.responder.rawValue else {
      throw .roleUnknown
    }
    keepsConnection = kept[2] & 1 == 1
    kept = []
    variables = []
    step = .params
  }

  private mutating func takePairs() throws(GatewayFault) {
    var bytes: [UInt8] = []
    swap(&bytes, &kept)
    var names: Set<String> = []
    var offset = 0
    while offset < bytes.count {
      let pair = try FastCGIPair(in: bytes.span, at: &offset)
      guard !pair.name.isEmpty else { throw .fieldLine }
      let (name, value) = (bytes[pair.name], bytes[pair.value])
      // Neither could stand in the environment of a program.
      guard !name.contains(0x3D), !name.contains(0), !value.contains(0) else { throw .fieldByte }
      let text = String(decoding: name, as: UTF8.self)
      guard names.insert(text).inserted else { throw .fieldLine }
      variables.append((text, String(decoding: value, as: UTF8.self)))
    }
  }
}
