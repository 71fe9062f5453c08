import CEpoll
import Glibc

/// Takes whatever is posted over HTTP/1.1, several requests at a time, and answers 204; a GET is told how many came.
final class Sink {
  private static let room = 1 << 20
  private static let answer = Array("HTTP/1.1 204 No Content\r\n\r\n".utf8)

  /// A connection's bytes that are no whole request yet.
  private struct Client {
    var memory: UnsafeMutablePointer<UInt8>
    var count = 0
  }

  let port: UInt16
  private let listener: Int32
  private let poll = epoll_create1(0)
  private var clients: [Int32: Client] = [:]
  private var events = [epoll_event](repeating: epoll_event(), count: 64)
  private var answers: [UInt8] = []
  private var requestCount = 0

  init() {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var one: Int32 = 1
    setsockopt(listener, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let number = listener
    let isOpen = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, size) == 0 && listen(number, 512) == 0
          && getsockname(number, $0, &size) == 0
      }
    }
    guard isOpen else {
      print("sink: cannot listen: errno \(errno)")
      exit(1)
    }
    port = UInt16(bigEndian: address.sin_port)
    watch(listener)
    watch(0)
  }

  private func watch(_ descriptor: Int32) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.fd = descriptor
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
  }

  /// Serves until its standard input ends.
  func run() {
    while true {
      let count = epoll_wait(poll, &events, Int32(events.count), -1)
      for event in events.prefix(max(0, Int(count))) {
        switch event.data.fd {
        case 0: return
        case listener: accept()
        case let client: serve(client)
        }
      }
    }
  }

  private func accept() {
    let client = Glibc.accept(listener, nil, nil)
    guard client >= 0 else { return }
    clients[client] = Client(memory: .allocate(capacity: Self.room))
    watch(client)
  }

  private func serve(_ number: Int32) {
    guard var client = clients[number] else { return }
    let received = recv(number, client.memory + client.count, Self.room - client.count, 0)
    guard received > 0 else {
      client.memory.deallocate()
      clients[number] = nil
      close(number)
      return
    }
    client.count += received
    var start = 0
    while let end = endOfRequest(client, from: start) {
      let isPost = client.memory[start] == 0x50
      start = end
      if isPost {
        requestCount += 1
        answers += Self.answer
      } else {
        let text = "\(requestCount)"
        answers += "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)".utf8
      }
    }
    client.count -= start
    memmove(client.memory, client.memory + start, client.count)
    clients[number] = client
    if !answers.isEmpty {
      if send(number, answers, answers.count, Int32(MSG_NOSIGNAL)) != answers.count { exit(1) }
      answers.removeAll(keepingCapacity: true)
    }
  }

  /// Where the request ends that begins at `start`; nil: it is not whole.
  private func endOfRequest(_ client: Client, from start: Int) -> Int? {
    var line = start
    var length = 0
    while let feed = memchr(client.memory + line, 0x0A, client.count - line) {
      let end = UnsafeMutableRawPointer(client.memory).distance(to: feed)
      // An empty line: the body follows.
      if end - line <= 1 { return end + 1 + length <= client.count ? end + 1 + length : nil }
      if strncasecmp(text(client, line), "content-length:", 15) == 0 {
        length = atol(text(client, line + 15))
      }
      line = end + 1
    }
    return nil
  }

  private func text(_ client: Client, _ offset: Int) -> UnsafePointer<CChar> {
    UnsafeRawPointer(client.memory + offset).assumingMemoryBound(to: CChar.self)
  }
}
