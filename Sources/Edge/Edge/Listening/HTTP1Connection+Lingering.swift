import MartletLoop
import MartletNet

/// How a connection ends whose client may still be sending.
extension HTTP1Connection {
  /// Reads until the client has read its answer, and does nothing else any more.
  func lingerOnly() {
    isLingering = true
    worker.serve(self)
  }

  /// Closes the connection so that the client still reads the answer.
  ///
  /// A socket that is closed while input is unread resets the connection, and the reset may destroy
  /// the answer on its way (RFC 9112, section 9.6): what comes is read for a while.
  func linger() async {
    stream.shutdownWrite()
    let deadline = loop.deadline(after: Self.lingerTime)
    var rest = Self.lingerBytes
    do throws(StreamError) {
      while rest > 0 {
        let block = try await stream.read(.head, by: deadline)
        if block.isEmpty { return }
        rest -= block.count
      }
    } catch {
      return
    }
  }

  private static let lingerTime = Timeout(.seconds(2))
  private static let lingerBytes = 1 << 20
}
