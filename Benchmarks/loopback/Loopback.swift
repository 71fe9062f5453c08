import Glibc

// What the programs of this folder's neighbours do with sockets of this machine, built into each of them.

/// 127.0.0.1.
let loopback: UInt32 = 0x7F00_0001

/// Calls something with an address of this machine.
func withAddress<Result>(
  _ port: UInt16,
  of host: UInt32 = loopback,
  _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = host.bigEndian
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
}

/// A socket that listens on a port, of which nothing waits to be sent; the program ends where there is none.
func listening(on port: UInt16, blocks: Bool, _ program: String) -> Int32 {
  let kind = Int32(SOCK_STREAM.rawValue | (blocks ? 0 : SOCK_NONBLOCK.rawValue))
  let listener = socket(AF_INET, kind, 0)
  var one: Int32 = 1
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
  setsockopt(listener, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
  guard withAddress(port, { bind(listener, $0, $1) }) == 0, listen(listener, 4096) == 0 else {
    print("\(program): cannot listen on port \(port): errno \(errno)")
    exit(1)
  }
  return listener
}

/// Ends the program with the words that it is to be called with.
func explain(_ usage: String) -> Never {
  print("usage: \(usage)")
  exit(2)
}
