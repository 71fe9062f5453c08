import CLinux
import Directives
import MartletSystem

/// What commands write for people and scripts.
enum Console {
  /// Writes a line to standard output.
  static func say(_ text: String) { write(text + "\n", to: 1) }

  /// Writes lines that have their ends to standard output.
  static func sayText(_ text: String) { write(text, to: 1) }

  /// Writes a line to standard error.
  static func complain(_ text: String) {
    write(text.hasSuffix("\n") ? text : text + "\n", to: 2)
  }

  /// Writes to standard error as it is.
  static func complainText(_ text: String) { write(text, to: 2) }

  /// Coloured for a terminal, see https://no-color.org.
  static var style: RenderingStyle {
    isatty(2) == 1 && Program.ownVariable("NO_COLOR") == nil ? .coloured : .plain
  }

  private static func write(_ text: String, to number: Int32) {
    let bytes = Array(text.utf8)
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
