import MartletSystem

/// What commands write for people and scripts.
enum Console {
  /// Writes a line to standard output.
  static func say(_ text: String) { write(text, to: 1) }

  /// Writes a line to standard error.
  static func complain(_ text: String) { write(text, to: 2) }

  private static func write(_ text: String, to number: Int32) {
    let bytes = Array(text.utf8) + [0x0A]
    let output = Descriptor(adopting: number)
    var sent = 0
    while sent < bytes.count {
      do throws(SystemError) {
        sent += try output.write(bytes.span.extracting(sent...))
      } catch {
        // Nobody reads any more: there is nobody to tell.
        break
      }
    }
    _ = output.release()
  }
}
