public import JSON
public import MartletBytes
public import MartletLoop

/// Why no message comes, or none can be sent.
public enum FramedStreamError: Error, Hashable, Sendable {
  /// The stream cannot go on.
  case stream(StreamError)
  /// What comes cannot be taken apart, or what is to be sent not be found again.
  case framing(FramingError)
  /// What a message says of itself cannot be read.
  case head(JSONError)
  /// The other side has ended in the middle of a message.
  case cut
}

/// A stream of messages over a stream of bytes.
///
/// ```swift
/// let lines = FramedStream(stream, .lines, limit: 4096)
/// while let line = try await lines.next(by: deadline) { try await lines.send(line, by: deadline) }
/// ```
public final class FramedStream {
  /// What the messages pass over.
  public let stream: Stream
  /// How they are told apart.
  public let form: FrameForm
  private var frames: Frames

  /// Takes messages of at most `limit` bytes from a stream at the beginning of one.
  public init(_ stream: Stream, _ form: FrameForm, limit: Int) {
    self.stream = stream
    self.form = form
    frames = Frames(form, limit: limit)
  }

  /// The next message; nil when the other side has ended behind the last one.
  ///
  /// - Throws: ``FramedStreamError``.
  public func next(by deadline: Deadline) async throws(FramedStreamError) -> [UInt8]? {
    while true {
      do throws(FramingError) {
        if let message = try frames.next() { return message }
      } catch {
        throw .framing(error)
      }
      do throws(StreamError) {
        let part = try await stream.read(.head, by: deadline)
        if !part.isEmpty {
          frames.receive(part.bytes)
          continue
        }
      } catch {
        throw .stream(error)
      }
      guard !frames.isWithinFrame else { throw .cut }
      return nil
    }
  }

  /// Sends a message.
  ///
  /// - head: What stands before the number that says its length, as ``LengthField/offset`` has it.
  /// - Throws: ``FramedStreamError``.
  public func send(
    _ message: [UInt8],
    head: [UInt8] = [],
    by deadline: Deadline
  ) async throws(FramedStreamError) {
    let bytes: [UInt8]
    do throws(FramingError) {
      bytes = try form.frame(message, head: head)
    } catch {
      throw .framing(error)
    }
    do throws(StreamError) {
      try await stream.write(bytes, by: deadline)
    } catch {
      throw .stream(error)
    }
  }
}
