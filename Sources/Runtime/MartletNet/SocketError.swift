import CLinux
import MartletSystem

/// Calls on a socket's number, for a stream that keeps the number and not the descriptor.
enum SocketError {
  /// The error that waits on a socket: 0, or its number; negative when the call itself fails.
  static func take(from descriptor: Int32) -> Int64 {
    martlet_get_option(descriptor, martlet_level_socket, martlet_option_error)
  }

  static func shutdownRead(_ descriptor: Int32) { _ = martlet_shutdown_read(descriptor) }

  static func shutdownWrite(_ descriptor: Int32) { _ = martlet_shutdown_write(descriptor) }

  static func discardOnClose(_ descriptor: Int32) { _ = martlet_set_linger(descriptor, 1, 0) }

  static func set(
    _ option: SocketOption,
    of descriptor: Int32,
    to value: Int32
  ) throws(SystemError) {
    try option.set(to: value, on: descriptor)
  }
}
