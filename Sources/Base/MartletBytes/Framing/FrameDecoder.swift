/// What a stretch of bytes has of one message.
public struct FramePart: Hashable, Sendable {
  /// Whether it is the message's first part.
  public var begins: Bool
  /// How many bytes the message has in all; nil when its end alone tells.
  public var byteCount: Int?
  /// How many bytes of the message stand before ``range``: the first ones of the delimiter, at the end of
  /// what was decoded before, which were not followed by the rest of it.
  public var restored = 0
  /// Its bytes among those that are decoded.
  public var range: Range<Int>
  /// Whether the message ends with it.
  public var ends: Bool
}

/// Takes a stream of bytes apart into messages, part by part and without keeping any of it.
///
/// A message that is longer than memory passes through it as well as a short one. ``Frames`` keeps whole
/// messages.
public struct FrameDecoder: Sendable {
  private enum State {
    case between
    /// So many bytes of a message are still to come.
    case inside(Int)
    /// A message that began has had so many bytes.
    case searching(Int)
  }

  /// How messages are told apart.
  public let form: FrameForm
  /// The most bytes of a message.
  public let limit: Int
  /// What stood before the length of the last message, as ``LengthField/offset`` says.
  public var head: ArraySlice<UInt8> {
    guard case .counted(let field) = form else { return [] }
    return started.prefix(field.offset)
  }

  private var state = State.between
  /// The bytes in front of a message, as many as have come.
  private var started: [UInt8] = []
  private var search: DelimiterSearch

  /// Creates a decoder that stands before a message of at most `limit` bytes.
  public init(_ form: FrameForm, limit: Int) {
    self.form = form
    self.limit = limit
    search = DelimiterSearch([0])
    switch form {
    case .fixed(let count): precondition((1...limit).contains(count), "a message has bytes")
    case .delimited(let delimiter): search = DelimiterSearch(delimiter)
    case .counted: break
    }
  }

  /// Whether a part of a message has come, so that the stream must not end here.
  public private(set) var isWithinFrame = false

  /// The next part of a message in `bytes`, behind which `offset` stands then; nil when they are used up.
  ///
  /// A part without bytes tells that a message begins, or ends.
  ///
  /// - Throws: ``FramingError``, as soon as it can be known; nothing behind it can be understood.
  public mutating func next(
    in bytes: Span<UInt8>,
    from offset: inout Int
  ) throws(FramingError) -> FramePart? {
    switch state {
    case .inside(let left): return rest(of: left, bytes, &offset)
    case .searching(let count): return try search(behind: count, bytes, &offset)
    case .between:
      guard offset < bytes.count else { return nil }
      isWithinFrame = true
      switch form {
      case .fixed(let count): return begin(count, bytes, &offset)
      case .delimited: return try search(behind: nil, bytes, &offset)
      case .counted(let field):
        guard let count = try length(field, bytes, &offset) else { return nil }
        return begin(count, bytes, &offset)
      }
    }
  }

  /// The length of the message that begins; nil when what stands in front of it has not come yet.
  private mutating func length(
    _ field: LengthField,
    _ bytes: Span<UInt8>,
    _ offset: inout Int
  ) throws(FramingError) -> Int? {
    if started.count == field.headBytes { started.removeAll(keepingCapacity: true) }
    while started.count < field.headBytes {
      guard offset < bytes.count else { return nil }
      started.append(bytes[offset])
      offset += 1
    }
    guard let count = field.length(in: started) else { throw .malformedLength }
    guard count <= limit else { throw .tooLong(limit: limit) }
    return count
  }

  private mutating func begin(
    _ count: Int,
    _ bytes: Span<UInt8>,
    _ offset: inout Int
  ) -> FramePart {
    var part = stretch(of: count, bytes, &offset)
    part.begins = true
    part.byteCount = count
    return part
  }

  private mutating func rest(
    of left: Int,
    _ bytes: Span<UInt8>,
    _ offset: inout Int
  ) -> FramePart? {
    offset < bytes.count ? stretch(of: left, bytes, &offset) : nil
  }

  private mutating func stretch(
    of left: Int,
    _ bytes: Span<UInt8>,
    _ offset: inout Int
  ) -> FramePart {
    let start = offset
    offset += min(left, bytes.count - offset)
    let more = left - (offset - start)
    state = more == 0 ? .between : .inside(more)
    isWithinFrame = more > 0
    return FramePart(begins: false, range: start..<offset, ends: more == 0)
  }

  /// Looks for the end of the message of which `count` bytes were told; nil: it begins here.
  private mutating func search(
    behind count: Int?,
    _ bytes: Span<UInt8>,
    _ offset: inout Int
  ) throws(FramingError) -> FramePart? {
    guard offset < bytes.count else { return nil }
    let start = offset
    let withheld = search.matched
    let end = search.end(in: bytes, from: start)
    offset = end ?? bytes.count
    // What was looked at, less what is the delimiter or may be its beginning.
    let told = withheld + offset - start - (end == nil ? search.matched : search.delimiter.count)
    guard told <= limit - (count ?? 0) else { throw .tooLong(limit: limit) }
    let restored = min(withheld, told)
    state = end == nil ? .searching((count ?? 0) + told) : .between
    isWithinFrame = end == nil
    return FramePart(
      begins: count == nil,
      restored: restored,
      range: start..<(start + told - restored),
      ends: end != nil
    )
  }
}
