import CLinux
import MartletSystem

/// Calls on a socket's number, for a stream that keeps the number and not the descriptor.
enum SocketError {
  /// The error that waits on a socket: 0, or its number; negative when the call itself fails.
  static func take(from descriptor: Int32) -> Int64 {
    martlet_get_option(descriptor, martlet_level_socket, martlet_option_error)
  }

  static func set(
    _ option: SocketOption,
    of descriptor: Int32,
    to value: Int32
  ) throws(SystemError) {
    try option.set(to: value, on: descriptor)
  }
}
