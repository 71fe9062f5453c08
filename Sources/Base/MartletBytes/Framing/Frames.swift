/// Puts the messages of a stream together, however it cuts and joins them.
///
/// One that is too long is refused before memory is taken for it, and memory is taken as its bytes come, not
/// as its length promises. Who receives takes out what is complete before giving more, so that no more is
/// kept than what came at once and one message that has begun.
public struct Frames: Sendable {
  private var decoder: FrameDecoder
  private var begun: [UInt8] = []
  private var complete: [[UInt8]] = []
  /// How many of those were taken out.
  private var taken = 0
  private var failure: FramingError?

  /// Creates a reader that stands before a message of at most `limit` bytes.
  public init(_ form: FrameForm, limit: Int) { decoder = FrameDecoder(form, limit: limit) }

  /// Whether a part of a message has come, so that the stream must not end here.
  public var isWithinFrame: Bool { decoder.isWithinFrame }

  /// Whether ``next()`` has a message.
  public var hasFrame: Bool { taken < complete.count }

  /// Takes in bytes that came; behind a failure they are not looked at.
  public mutating func receive(_ bytes: Span<UInt8>) {
    guard failure == nil else { return }
    if taken > 0 {
      complete.removeFirst(taken)
      taken = 0
    }
    var offset = 0
    do throws(FramingError) {
      while let part = try decoder.next(in: bytes, from: &offset) { add(part, of: bytes) }
    } catch {
      failure = error
    }
  }

  private mutating func add(_ part: FramePart, of bytes: Span<UInt8>) {
    if part.restored > 0, case .delimited(let delimiter) = decoder.form {
      begun += delimiter.prefix(part.restored)
    }
    begun.append(copying: bytes.extracting(part.range))
    guard part.ends else { return }
    complete.append(begun)
    begun = []
  }

  /// The next message; nil when it is not complete.
  ///
  /// - Throws: ``FramingError`` where the stream cannot be taken apart, once the messages before that are
  ///   taken out.
  public mutating func next() throws(FramingError) -> [UInt8]? {
    if taken < complete.count {
      taken += 1
      return complete[taken - 1]
    }
    if let failure { throw failure }
    return nil
  }
}
