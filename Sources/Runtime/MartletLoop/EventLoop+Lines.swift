public import MartletSystem

import MartletBytes

extension EventLoop {
  /// Gives what comes out of a pipe line by line, until its other ends are closed.
  ///
  /// A line that is longer than the limit goes on as the next one. What cannot be read any more counts as
  /// ended, as does a loop that ends.
  ///
  /// - Throws: ``MartletSystem/SystemError`` when the loop cannot watch the file.
  public func lines(
    of file: OpenFile,
    byteLimit: Int,
    _ take: (String) -> Void
  ) async throws(SystemError) {
    try watch(file.number, assumesReady: true)
    defer { forget(file.number, staysOpen: true) }
    var lines = PrintedLines(byteLimit: byteLimit)
    while true {
      do throws(SystemError) {
        let bytes = try file.descriptor.read(upTo: 16 << 10)
        guard !bytes.isEmpty else { break }
        lines.receive(bytes.span) { take(String(decoding: $0, as: UTF8.self)) }
      } catch {
        guard error.wouldBlock else { break }
        clearReadiness(file.number)
        do throws(WaitError) { try await readable(file.number, by: .never) } catch { break }
      }
    }
    lines.end { take(String(decoding: $0, as: UTF8.self)) }
  }
}
