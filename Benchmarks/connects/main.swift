import Glibc

// Connects once a second to each of as many addresses as are asked for, and ends the connection with a
// reset: the two calls of a check by TCP on a socket that is there already, and nothing else.

let words = CommandLine.arguments.dropFirst().compactMap { Int($0) }
guard words.count == 2, let port = UInt16(exactly: words[0]) else {
  explain("connects PORT COUNT")
}

let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)

/// The address of this number: 127.0.0.1, 127.0.0.2 and so on, 250 of each network.
func host(_ number: Int) -> UInt32 { loopback + UInt32((number / 250) << 8 + number % 250) }

/// Ends the connection with a reset; the socket can connect again.
func disconnects() -> Bool {
  var nowhere = sockaddr()
  nowhere.sa_family = sa_family_t(AF_UNSPEC)
  return connect(descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size)) == 0
}

while true {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  time.tv_sec += 1
  for number in 0..<words[1] {
    let isThere = withAddress(port, of: host(number)) { connect(descriptor, $0, $1) } == 0
    guard isThere, disconnects() else {
      print("connects: member \(number) at port \(port): errno \(errno)")
      exit(1)
    }
  }
  clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil)
}
