import CEpoll
import Glibc

/// Passes bytes between each client and a connection of its own to a server.
///
/// It makes a `recv` and a `send` for each message, both ways, and does nothing else: no proxy that makes
/// these calls can cost less.
///
/// It is for messages that a socket's buffer has room for; a connection with others ends.
final class Relay {
  private let server: UInt16
  private let listener: Int32
  private let poll = epoll_create1(0)
  private let memory: UnsafeMutableRawBufferPointer
  private var events = [epoll_event](repeating: epoll_event(), count: 512)
  /// The other end of each descriptor, or −1.
  private var others: [Int32] = []

  init(port: UInt16, server: UInt16) {
    self.server = server
    memory = .allocate(byteCount: 1 << 16, alignment: 64)
    listener = listening(on: port, blocks: true, "relay")
    watch(listener, of: -1, EPOLLIN.rawValue)
  }

  private func watch(_ descriptor: Int32, of other: Int32, _ what: UInt32) {
    while others.count <= Int(descriptor) { others.append(-1) }
    others[Int(descriptor)] = other
    var event = epoll_event()
    event.events = what
    event.data.fd = descriptor
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
  }

  /// Runs until it is killed.
  func run() -> Never {
    while true {
      let count = epoll_wait(poll, &events, Int32(events.count), -1)
      for number in 0..<max(0, Int(count)) {
        let descriptor = events[number].data.fd
        descriptor == listener ? begin() : pass(from: descriptor)
      }
    }
  }

  private func begin() {
    let client = accept(listener, nil, nil)
    guard client >= 0 else { return }
    let member = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var one: Int32 = 1
    setsockopt(member, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    guard withAddress(server, { connect(member, $0, $1) }) == 0 else {
      close(client)
      close(member)
      return
    }
    let what = EPOLLIN.rawValue | EPOLLET.rawValue
    watch(client, of: member, what)
    watch(member, of: client, what)
  }

  private func pass(from descriptor: Int32) {
    let other = others[Int(descriptor)]
    guard other >= 0 else { return }
    let received = recv(descriptor, memory.baseAddress, memory.count, Int32(MSG_DONTWAIT))
    guard received > 0 else { return end(descriptor, other) }
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    if received == memory.count || send(other, memory.baseAddress, received, flags) != received {
      end(descriptor, other)
    }
  }

  private func end(_ descriptor: Int32, _ other: Int32) {
    for one in [descriptor, other] {
      others[Int(one)] = -1
      close(one)
    }
  }
}
