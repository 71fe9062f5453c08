import MartletBytes

/// The header of a record, and the kinds of records.
///
///      0        1        2        3        4        5        6        7
///     ┌────────┬────────┬─────────────────┬─────────────────┬────────┬────────┐
///     │version │ type   │ request         │ content length  │padding │reserved│
///     └────────┴────────┴─────────────────┴─────────────────┴────────┴────────┘
///
/// - Source: FastCGI 1.0, section 3.3.
public struct FastCGIRecord: Hashable, Sendable {
  /// What a record is about.
  public enum Kind: UInt8, Sendable {
    /// A request begins, with its role.
    case beginRequest = 1
    /// A request is given up.
    case abortRequest = 2
    /// A request is over.
    case endRequest = 3
    /// The variables of a request.
    case params = 4
    /// The content of a request.
    case standardInput = 5
    /// The answer.
    case standardOutput = 6
    /// What the application has to say besides.
    case standardError = 7
    /// A file that a filter reads.
    case data = 8
    /// A question about the application.
    case getValues = 9
    /// The answer to that.
    case getValuesResult = 10
    /// A kind that the application does not know.
    case unknownType = 11
  }

  /// What an application is asked to be.
  ///
  /// - Source: FastCGI 1.0, section 6.
  public enum Role: UInt8, Sendable {
    /// It answers.
    case responder = 1
    /// It says whether somebody else may answer.
    case authorizer = 2
    /// It answers with a file that it is given.
    case filter = 3
  }

  /// The kind.
  public var kind: Kind
  /// The number of the request; 0: the connection itself.
  public var request: UInt16
  /// How many bytes of content follow.
  public var contentCount: Int
  /// How many bytes follow that mean nothing.
  public var paddingCount: Int

  /// The length of a header in bytes.
  public static let headerByteCount = 8
  /// The most bytes of content.
  public static let contentByteLimit = 65_535

  /// Creates a header; `contentCount` is at most ``contentByteLimit``.
  public init(_ kind: Kind, request: UInt16, contentCount: Int, paddingCount: Int = 0) {
    precondition(contentCount <= Self.contentByteLimit, "more content than a record can have")
    self.kind = kind
    self.request = request
    self.contentCount = contentCount
    self.paddingCount = paddingCount
  }

  /// Reads the header at the beginning of `bytes`, which has eight at least.
  ///
  /// - Throws: ``GatewayFault/recordVersion`` or ``GatewayFault/recordType``.
  public init(_ bytes: Span<UInt8>) throws(GatewayFault) {
    guard bytes[0] == 1 else { throw .recordVersion }
    guard let kind = Kind(rawValue: bytes[1]) else { throw .recordType }
    self.kind = kind
    request = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    contentCount = Int(bytes[4]) << 8 | Int(bytes[5])
    paddingCount = Int(bytes[6])
  }

  /// The header as it is sent.
  public var bytes: InlineArray<8, UInt8> {
    [
      1, kind.rawValue, UInt8(request >> 8), UInt8(truncatingIfNeeded: request),
      UInt8(truncatingIfNeeded: contentCount >> 8), UInt8(truncatingIfNeeded: contentCount),
      UInt8(truncatingIfNeeded: paddingCount), 0,
    ]
  }

  /// Appends the header.
  public func append(to bytes: inout [UInt8]) { bytes.append(copying: self.bytes.span) }
}

/// Takes the records apart that an application sends: bytes in, pieces of output out, no I/O.
///
/// The caller keeps the buffer and calls ``next(in:at:)`` until it asks for more bytes. Content is given out as
/// it comes, however records are cut; padding is passed over.
///
/// - Source: FastCGI 1.0, sections 3 and 5.
public struct FastCGIDecoder: Sendable {
  /// What the caller does next.
  public enum Event: Hashable, Sendable {
    /// Everything given was used: read more.
    case needsBytes
    /// These bytes of the buffer belong to the answer to this request.
    case output(Range<Int>, request: UInt16)
    /// These bytes of the buffer are what the application says besides.
    case errorOutput(Range<Int>, request: UInt16)
    /// The answer to this request is over; the application has ended with this status.
    case end(request: UInt16, FastCGIEnd)
    /// The application answers the question about itself; these bytes are of its pairs, perhaps the last ones.
    case values(Range<Int>, isLast: Bool)
    /// The application does not know records of this kind.
    case unknownKind(UInt8)
  }

  private enum State: Sendable {
    case header
    case content(FastCGIRecord.Kind, request: UInt16, left: Int)
    /// A record that is read as a whole, of eight bytes.
    case fixed(FastCGIRecord.Kind, request: UInt16)
    case padding(Int)
  }

  private var state = State.header
  private var paddingCount = 0
  /// What has come of a header, or of a record that is read as a whole.
  private var kept = InlineArray<8, UInt8>(repeating: 0)
  private var keptCount = 0

  /// Creates a decoder that stands before the first record.
  public init() {}

  /// Whether it stands between two records.
  public var isBetweenRecords: Bool {
    if case .header = state { keptCount == 0 } else { false }
  }

  /// Takes the next step in `bytes`, from `offset` on, and moves `offset` behind what it used.
  ///
  /// - Throws: ``GatewayFault``; where the next record begins is not known any more.
  /// - Complexity: O(*n*) in the bytes used, with no allocation.
  public mutating func next(
    in bytes: Span<UInt8>,
    at offset: inout Int
  ) throws(GatewayFault) -> Event {
    while offset < bytes.count {
      switch state {
      case .header:
        guard keep(bytes, &offset) else { return .needsBytes }
        let record = try FastCGIRecord(kept.span)
        try begin(record)
        if record.kind == .getValuesResult, record.contentCount == 0 {
          return .values(offset..<offset, isLast: true)
        }
      case .content(let kind, let request, let left):
        let count = min(left, bytes.count - offset)
        let range = offset..<offset + count
        offset += count
        if count == left {
          endContent()
        } else {
          state = .content(kind, request: request, left: left - count)
        }
        switch kind {
        case .standardOutput: return .output(range, request: request)
        case .standardError: return .errorOutput(range, request: request)
        default: return .values(range, isLast: count == left)
        }
      case .fixed(let kind, let request):
        guard keep(bytes, &offset) else { return .needsBytes }
        endContent()
        guard kind == .endRequest else { return .unknownKind(kept[0]) }
        return .end(request: request, FastCGIEnd(kept.span))
      case .padding(let left):
        let count = min(left, bytes.count - offset)
        offset += count
        state = count == left ? .header : .padding(left - count)
      }
    }
    return .needsBytes
  }

  private mutating func begin(_ record: FastCGIRecord) throws(GatewayFault) {
    paddingCount = record.paddingCount
    switch record.kind {
    case .standardOutput, .standardError:
      guard record.request != 0 else { throw .recordRequest }
    case .endRequest:
      guard record.request != 0 else { throw .recordRequest }
      guard record.contentCount == 8 else { throw .endLength }
      state = .fixed(.endRequest, request: record.request)
      return
    case .unknownType:
      guard record.request == 0 else { throw .recordRequest }
      guard record.contentCount == 8 else { throw .endLength }
      state = .fixed(.unknownType, request: 0)
      return
    case .getValuesResult:
      guard record.request == 0 else { throw .recordRequest }
    case .beginRequest, .abortRequest, .params, .standardInput, .data, .getValues:
      throw .recordType
    }
    guard record.contentCount > 0 else {
      // The end of a stream, of which the end of the request tells as well.
      endContent()
      return
    }
    state = .content(record.kind, request: record.request, left: record.contentCount)
  }

  private mutating func endContent() { state = paddingCount > 0 ? .padding(paddingCount) : .header }

  /// Keeps bytes until there are eight.
  private mutating func keep(_ bytes: Span<UInt8>, _ offset: inout Int) -> Bool {
    while keptCount < 8, offset < bytes.count {
      kept[keptCount] = bytes[offset]
      keptCount += 1
      offset += 1
    }
    guard keptCount == 8 else { return false }
    keptCount = 0
    return true
  }
}

/// How an application has ended.
///
/// - Source: FastCGI 1.0, section 5.5.
public struct FastCGIEnd: Hashable, Sendable {
  /// What became of a request.
  public enum Outcome: Hashable, Sendable {
    /// It was answered.
    case complete
    /// The application takes one request at a time on a connection.
    case cannotMultiplex
    /// The application has too much to do.
    case overloaded
    /// The application does not know the role.
    case unknownRole
    /// Something that is not defined.
    case other(UInt8)
  }

  /// What the application would have ended with as a program; 0 is well.
  public var status: UInt32
  /// What became of the request.
  public var outcome: Outcome

  /// Creates an end.
  public init(status: UInt32, outcome: Outcome) {
    self.status = status
    self.outcome = outcome
  }

  /// Reads the eight bytes of the record.
  init(_ bytes: Span<UInt8>) {
    status =
      UInt32(bytes[0]) << 24 | UInt32(bytes[1]) << 16 | UInt32(bytes[2]) << 8 | UInt32(bytes[3])
    outcome =
      switch bytes[4] {
      case 0: .complete
      case 1: .cannotMultiplex
      case 2: .overloaded
      case 3: .unknownRole
      default: .other(bytes[4])
      }
  }
}
