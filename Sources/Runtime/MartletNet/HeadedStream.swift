public import JSON
import MartletBytes
public import MartletLoop
public import MartletSystem

/// A stream of messages that each have a dictionary, which says what they are, and a body.
///
/// The dictionary is an object of JSON, kept whole; the body passes part by part, so that it may be longer than
/// memory. ``HeadedFrame`` says how they stand in the stream.
///
/// ```swift
/// let messages = HeadedStream(stream, bodyLimit: 1 << 40)
/// while let message = try await messages.next(by: deadline) {
///   print(message.head["name"]?.text ?? "", message.bodyBytes)
///   while try await messages.part(by: deadline, { bytes in count += bytes.count }) {}
/// }
/// ```
public final class HeadedStream {
  /// A message whose body has not come yet.
  public struct Message: Sendable {
    /// What it is.
    public var head: JSONValue
    /// How many bytes its body has.
    public var bodyBytes: Int
  }

  /// So much of a file has a deadline of its own.
  private static let pieceBytes = 512 << 10

  /// What the messages pass over.
  public let stream: Stream
  private let limits: JSONLimits
  private var decoder: HeadedDecoder
  /// What has come and was not looked at, from ``offset`` on; nil while the stream waits.
  private var held: Lent?
  private var offset = 0

  /// Takes messages with heads and bodies of at most so many bytes from a stream at the beginning of one.
  public init(_ stream: Stream, headLimit: Int = 64 << 10, bodyLimit: Int) {
    self.stream = stream
    limits = JSONLimits(byteCount: headLimit, depth: 4, valueCount: 1000)
    decoder = HeadedDecoder(headLimit: headLimit, bodyLimit: bodyLimit)
  }

  /// The next message; nil when the other side has ended behind the last one.
  ///
  /// What was not read of the body of the one before is passed over.
  ///
  /// - Throws: ``FramedStreamError``.
  public func next(by deadline: Deadline) async throws(FramedStreamError) -> Message? {
    while try await part(by: deadline, { _ in }) {}
    while true {
      guard let event = try await event(by: deadline, { _ in }) else { return nil }
      guard case .head(let bytes, let bodyBytes) = event else { continue }
      do throws(JSONError) {
        return Message(head: try JSONValue(parsing: bytes, limits: limits), bodyBytes: bodyBytes)
      } catch {
        throw .head(error)
      }
    }
  }

  /// Lends the next part of the present body to `use`.
  ///
  /// - Returns: Whether there was one; false behind the last.
  /// - Throws: ``FramedStreamError``.
  public func part(
    by deadline: Deadline,
    _ use: (Span<UInt8>) -> Void
  ) async throws(FramedStreamError) -> Bool {
    guard decoder.bodyLeft > 0 else { return false }
    _ = try await event(by: deadline, use)
    return true
  }

  /// The next event, for which bytes are waited for; nil at an end between two messages.
  private func event(
    by deadline: Deadline,
    _ use: (Span<UInt8>) -> Void
  ) async throws(FramedStreamError) -> HeadedDecoder.Event? {
    while true {
      if let buffer = held.take() {
        let event = try event(in: buffer, use)
        if offset < buffer.count { held = consume buffer }
        if let event { return event }
      }
      do throws(StreamError) {
        let buffer = try await stream.read(.body, by: deadline)
        offset = 0
        if !buffer.isEmpty {
          held = consume buffer
          continue
        }
      } catch {
        throw .stream(error)
      }
      guard !decoder.isWithinFrame else { throw .cut }
      return nil
    }
  }

  /// The next event of what has come; nil when more is needed.
  private func event(
    in buffer: borrowing Lent,
    _ use: (Span<UInt8>) -> Void
  ) throws(FramedStreamError) -> HeadedDecoder.Event? {
    do throws(FramingError) {
      let event = try decoder.next(in: buffer.bytes, from: &offset)
      if case .body(let range)? = event { use(buffer.bytes.extracting(range)) }
      return event
    } catch {
      throw .framing(error)
    }
  }

  /// Sends a message whose body is in memory.
  ///
  /// - Throws: ``FramedStreamError/stream(_:)``.
  public func send(
    _ head: JSONValue,
    body: [UInt8] = [],
    by deadline: Deadline
  ) async throws(FramedStreamError) {
    let start = HeadedFrame.start(head: Array(head.compact.utf8), bodyBytes: body.count)
    do throws(StreamError) {
      try await stream.write(start + body, by: deadline)
    } catch {
      throw .stream(error)
    }
  }

  /// Sends a message whose body is a part of a file, without copying it through here; between two pieces the
  /// other side may pause for `limit`.
  ///
  /// - Throws: ``FramedStreamError``: ``FramedStreamError/cut`` when the file has become shorter; nothing can be
  ///   sent behind that.
  public func send(
    _ head: JSONValue,
    file: borrowing Descriptor,
    from start: Int,
    count: Int,
    pause limit: Timeout
  ) async throws(FramedStreamError) {
    var sent = 0
    do throws(StreamError) {
      let lengths = HeadedFrame.start(head: Array(head.compact.utf8), bodyBytes: count)
      try await stream.write(lengths, by: stream.loop.deadline(after: limit))
      while sent < count {
        let part = try await stream.sendFile(
          file,
          from: Int64(start + sent),
          count: min(Self.pieceBytes, count - sent),
          by: stream.loop.deadline(after: limit)
        )
        if part == 0 { break }
        sent += part
      }
    } catch {
      throw .stream(error)
    }
    guard sent == count else { throw .cut }
  }
}
