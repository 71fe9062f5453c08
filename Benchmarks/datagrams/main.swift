// Both ends of datagrams through a proxy, on one thread: clients that each have one request under way,
// and a member that gives back what it gets. Prints one line of JSON.
//
//     datagrams --proxy PORT --server PORT --clients 64 --bytes 64 --seconds 5

import CEpoll
import Glibc

let arguments = CommandLine.arguments
var options: [String: Int] = [:]
for index in stride(from: 1, to: arguments.count - 1, by: 2) {
  options[String(arguments[index].dropFirst(2))] = Int(arguments[index + 1])
}
guard let proxy = options["proxy"], let server = options["server"],
  let ends = Datagrams(
    server: UInt16(server),
    proxy: UInt16(proxy),
    clients: options["clients"] ?? 64,
    bytes: options["bytes"] ?? 64
  )
else {
  explain("datagrams --proxy PORT --server PORT [--clients N] [--bytes N] [--seconds N]")
}
ends.run(Double(options["seconds"] ?? 5))
print(ends.report)

/// The sockets of clients and member.
final class Datagrams {
  private let queue = epoll_create1(0)
  private let count: Int
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)
  private var events = [epoll_event](repeating: epoll_event(), count: 512)
  private let member: Int32
  private var clients: [Int32] = []
  /// When each client asked, by descriptor, in nanoseconds.
  private var askedAt: [UInt64] = []
  private var answers = 0
  private var lost = 0
  private var seconds = 0.0

  init?(server: UInt16, proxy: UInt16, clients clientCount: Int, bytes: Int) {
    count = bytes
    member = Self.socket()
    guard Self.call(bind, member, server) else { return nil }
    watch(member)
    for _ in 0..<clientCount {
      let client = Self.socket()
      guard Self.call(connect, client, proxy) else { return nil }
      watch(client)
      clients.append(client)
    }
    askedAt = Array(repeating: 0, count: Int(clients.max() ?? 0) + 1)
  }

  private static func socket() -> Int32 {
    Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
  }

  private static func call(
    _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32,
    _ socket: Int32,
    _ port: UInt16
  ) -> Bool {
    withAddress(port) { function(socket, $0, $1) == 0 }
  }

  private func watch(_ socket: Int32) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.fd = socket
    epoll_ctl(queue, EPOLL_CTL_ADD, socket, &event)
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private func ask(_ client: Int32, at now: UInt64) {
    askedAt[Int(client)] = now
    send(client, buffer.baseAddress, count, 0)
  }

  /// Runs for this time; what is not answered within 200 ms counts as lost and is asked again.
  func run(_ limit: Double) {
    let start = Self.now()
    let end = start + UInt64(limit * 1e9)
    var now = start
    var looked = start
    for client in clients { ask(client, at: now) }
    while now < end {
      let ready = epoll_wait(queue, &events, Int32(events.count), 100)
      now = Self.now()
      for index in 0..<max(0, Int(ready)) {
        let socket = events[index].data.fd
        if socket == member { serve() } else { take(socket, at: now) }
      }
      guard now - looked > 50_000_000 else { continue }
      looked = now
      for client in clients where now - askedAt[Int(client)] > 200_000_000 {
        lost += 1
        ask(client, at: now)
      }
    }
    seconds = Double(now - start) / 1e9
  }

  private func serve() {
    while true {
      var peer = sockaddr_storage()
      var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let isDone = withUnsafeMutablePointer(to: &peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
          let received = recvfrom(member, buffer.baseAddress, buffer.count, 0, peer, &size)
          guard received >= 0 else { return true }
          sendto(member, buffer.baseAddress, received, 0, peer, size)
          return false
        }
      }
      if isDone { return }
    }
  }

  private func take(_ client: Int32, at now: UInt64) {
    guard recv(client, buffer.baseAddress, buffer.count, 0) == count else { return }
    answers += 1
    ask(client, at: now)
  }

  var report: String {
    "{\"answers\":\(answers),\"seconds\":\(seconds),\"failures\":{\"lost\":\(lost)},"
      + "\"microseconds\":{},\"warmup_answers\":0}"
  }
}
