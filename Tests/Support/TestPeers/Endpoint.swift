import Glibc

/// Where a peer listens.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A port of 127.0.0.1.
  case port(UInt16)
  /// A Unix socket.
  case unix(String)

  /// As Martlet's configuration writes it.
  public var description: String {
    switch self {
    case .port(let port): "127.0.0.1:\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// The arguments that make curl speak to it.
  public var curl: [String] {
    switch self {
    case .port: []
    case .unix(let path): ["--unix-socket", path]
    }
  }

  /// The URL of `path` there.
  public func url(_ path: String) -> String {
    switch self {
    case .port(let port): "http://127.0.0.1:\(port)\(path)"
    case .unix: "http://localhost\(path)"
    }
  }

  /// Calls `body` with the address as the kernel takes it.
  func withAddress<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
  ) throws -> Result {
    switch self {
    case .port(let port):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let size = socklen_t(MemoryLayout<sockaddr_in>.size)
      return try unsafe withUnsafePointer(to: &address) { pointer in
        try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          try unsafe body($0, size)
        }
      }
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      guard path.utf8.count < 108 else { throw PeerError("\(path) is too long for a socket") }
      unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
      let size = socklen_t(MemoryLayout<sockaddr_un>.size)
      return try unsafe withUnsafePointer(to: &address) { pointer in
        try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          try unsafe body($0, size)
        }
      }
    }
  }
}

/// A socket that is bound and, for a member in this process, listens.
final class BoundSocket: Sendable {
  let number: Int32
  let endpoint: Endpoint

  /// Binds a port that the kernel chooses.
  ///
  /// As long as it is kept, the kernel gives the port to nobody else; a process that binds it with
  /// SO_REUSEADDR gets it, since nobody listens here.
  init() throws {
    number = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    guard number >= 0 else { throw PeerError("no socket: errno \(errno)") }
    var yes: Int32 = 1
    unsafe setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
    let number = number
    let bound = try unsafe Endpoint.port(0).withAddress { unsafe bind(number, $0, $1) }
    guard bound == 0 else { throw PeerError("cannot bind: errno \(errno)") }
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let told = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(number, $0, &size)
      }
    }
    guard told == 0 else { throw PeerError("no port: errno \(errno)") }
    endpoint = .port(UInt16(bigEndian: address.sin_port))
  }

  /// Takes connections from now on.
  func listen() throws {
    guard Glibc.listen(number, 1024) == 0 else { throw PeerError("cannot listen: errno \(errno)") }
  }

  /// The next connection, or nil when the socket was shut down.
  func accept() -> Int32? {
    while true {
      let accepted = Glibc.accept(number, nil, nil)
      if accepted >= 0 {
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        return accepted
      }
      guard errno == EINTR || errno == ECONNABORTED else { return nil }
    }
  }

  /// Wakes ``accept()`` for the last time, and refuses connections.
  func shutDown() { shutdown(number, Int32(SHUT_RDWR)) }

  deinit { close(number) }
}
