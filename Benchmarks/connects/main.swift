import Glibc

// Connects once a second to each of as many addresses as are asked for, and ends the connection with a
// reset: the two calls of a check by TCP on a socket that is there already, and nothing else.

let words = CommandLine.arguments.dropFirst().compactMap { Int($0) }
guard words.count == 2, let port = UInt16(exactly: words[0]) else {
  fatalError("connects PORT COUNT")
}

let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)

/// Connects to an address of this family; `AF_UNSPEC` ends the connection with a reset.
func connects(to host: Int, family: Int32) -> Bool {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(family)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(host).bigEndian
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}

/// The address of this number: 127.0.0.1, 127.0.0.2 and so on, 250 of each network.
func host(_ number: Int) -> Int { 0x7F00_0000 + (number / 250) << 8 + number % 250 + 1 }

while true {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  time.tv_sec += 1
  for number in 0..<words[1] {
    let isThere = connects(to: host(number), family: AF_INET)
    guard isThere, connects(to: 0, family: AF_UNSPEC) else {
      print("connects: member \(number) at port \(port): errno \(errno)")
      exit(1)
    }
  }
  clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil)
}
