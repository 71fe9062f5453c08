/// The program that workers run, in Python 3.9 or later with nothing but its standard library.
public enum WorkerProgram {
  /// Its text for applications of an interface: `wsgi` or `asgi`.
  public static func source(for interface: String) -> [UInt8] {
    PackageResources.messages_py + PackageResources.worker_py + PackageResources.lock_py
      + PackageResources.preload_py
      + (interface == "asgi" ? PackageResources.asgi_py + PackageResources.websocket_py : [])
      + Array("\n\nmain()\n".utf8)
  }

  /// The number of the descriptor that tells the supervisor how the worker is.
  public static let statusDescriptor = 3
  /// The number of the descriptor under which it finds its own text.
  public static let sourceDescriptor = 6
}
