import Foundation
import Glibc

/// A socket for datagrams on 127.0.0.1, or of an address beside it; every wait has a limit.
public final class DatagramWire: Sendable {
  private let number: Int32
  /// The port that it is bound to.
  public let port: UInt16

  /// The address of this machine.
  public static let loopback: UInt32 = 0x7F00_0001

  /// Binds a port that the kernel chooses; with `peer` datagrams of others are not received.
  ///
  /// - Throws: ``PeerError`` when the kernel has none.
  public init(to peer: UInt16? = nil, at host: UInt32 = loopback) throws {
    let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
    guard number >= 0 else { throw PeerError("no socket: errno \(errno)") }
    self.number = number
    var result = unsafe Self.withAddress(Self.loopback, 0) { unsafe bind(number, $0, $1) }
    guard result == 0 else { throw PeerError("cannot bind: errno \(errno)") }
    if let peer {
      result = unsafe Self.withAddress(host, peer) { unsafe connect(number, $0, $1) }
      guard result == 0 else { throw PeerError("cannot connect: errno \(errno)") }
    }
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let told = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(number, $0, &size)
      }
    }
    guard told == 0 else { throw PeerError("no port: errno \(errno)") }
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(number) }

  private static func withAddress<Result>(
    _ host: UInt32,
    _ port: UInt16,
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = host.bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, size) }
    }
  }

  /// Sends a datagram to the peer, or to a port of this machine.
  ///
  /// - Throws: ``PeerError`` when the kernel does not take it.
  public func send(_ bytes: [UInt8], to port: UInt16? = nil) throws {
    let number = number
    let sent = unsafe bytes.withUnsafeBytes { all in
      guard let port else { return unsafe Glibc.send(number, all.baseAddress, all.count, 0) }
      return unsafe Self.withAddress(Self.loopback, port) {
        unsafe sendto(number, all.baseAddress, all.count, 0, $0, $1)
      }
    }
    guard sent == bytes.count || errno == ECONNREFUSED else {
      throw PeerError("a datagram was not sent: errno \(errno)")
    }
  }

  /// The next datagram and the port that it came from; nil when none comes within `limit`.
  ///
  /// - Throws: ``PeerError`` when the kernel says that nobody is there.
  public func receive(within limit: Duration = patience) throws -> (bytes: [UInt8], port: UInt16)? {
    var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&entry, 1, limit.milliseconds) > 0 else { return nil }
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe bytes.withUnsafeMutableBytes { all in
      unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe recvfrom(number, all.baseAddress, all.count, 0, $0, &size)
        }
      }
    }
    guard count >= 0 else { throw PeerError("no datagram: errno \(errno)") }
    return (Array(bytes.prefix(count)), UInt16(bigEndian: address.sin_port))
  }
}

extension Rig {
  /// A member in Python that gives each datagram back with `mark` and the sender's port in front of it.
  ///
  /// - Throws: ``PeerError`` when it does not start.
  public func datagramMember(_ mark: String = "") throws -> (peer: Peer, port: UInt16) {
    let port = try DatagramWire().port
    let program = """
      import socket, sys
      own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
      own.bind(("127.0.0.1", int(sys.argv[1])))
      print("ready", flush=True)
      while True:
          data, peer = own.recvfrom(65536)
          mark = f"{sys.argv[2]} {peer[1]} ".encode() if sys.argv[2] else b""
          own.sendto(mark + data, peer)
      """
    let file = try write(program, to: "datagrams-\(port).py")
    let peer = try start(["/usr/bin/python3", "-u", file, "\(port)", mark])
    try peer.line(with: "ready")
    return (peer, port)
  }
}
