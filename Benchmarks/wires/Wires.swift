import CEpoll
import Glibc

/// Both ends of connections through a proxy, on one thread.
final class Wires {
  enum Mode: String {
    case trips, bulk
  }

  /// What a descriptor is.
  private enum Role {
    case none, listener, client, server
  }

  private let mode: Mode
  private let proxy: UInt16
  private let count: Int
  private let poll = epoll_create1(0)
  private let memory: UnsafeMutableRawBufferPointer
  private var events = [epoll_event](repeating: epoll_event(), count: 512)
  private var roles: [Role] = []
  /// How many bytes of the present answer a client still awaits.
  private var missing: [Int] = []
  private var listener: Int32 = -1
  private var answers = 0
  private var failures = 0
  private var seconds = 0.0
  private var isOver = false

  init(mode: Mode, server: UInt16, proxy: UInt16, bytes: Int) {
    self.mode = mode
    self.proxy = proxy
    count = bytes
    memory = .allocate(byteCount: 1 << 20, alignment: 64)
    for index in memory.indices { memory[index] = UInt8(truncatingIfNeeded: index &* 31) }
    listener = listening(on: server, blocks: false, "wires")
    watch(listener, as: .listener)
  }

  private func stop(_ sentence: String) -> Never {
    print("wires: \(sentence): errno \(errno)")
    exit(1)
  }

  private func watch(_ descriptor: Int32, as role: Role) {
    while roles.count <= Int(descriptor) {
      roles.append(.none)
      missing.append(0)
    }
    roles[Int(descriptor)] = role
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    if mode == .bulk, role == .server { event.events = EPOLLOUT.rawValue }
    event.data.fd = descriptor
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
  }

  /// Opens the clients' connections, each of which begins at once.
  func open(_ connections: Int) {
    for _ in 0..<connections {
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var one: Int32 = 1
      setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
      guard withAddress(proxy, { connect(client, $0, $1) }) == 0 else {
        stop("cannot connect to port \(proxy)")
      }
      watch(client, as: .client)
      if mode == .trips { ask(client) }
    }
  }

  private func ask(_ client: Int32) {
    missing[Int(client)] = count
    if send(client, memory.baseAddress, count, Int32(MSG_NOSIGNAL)) != count { fail() }
  }

  private func fail() { failures += 1 }

  /// Runs for this time, and then until what was asked is answered, at most for a second.
  func run(_ limit: Double) {
    let start = Self.now()
    let end = start + UInt64(limit * 1e9)
    var now = start
    while now < end + (mode == .trips ? 1_000_000_000 : 0) {
      isOver = now >= end
      if isOver, missing.allSatisfy({ $0 == 0 }) { break }
      let count = epoll_wait(poll, &events, Int32(events.count), 100)
      for number in 0..<max(0, Int(count)) {
        handle(events[number].data.fd, events[number].events)
      }
      now = Self.now()
    }
    seconds = Double(min(now, end) - start) / 1e9
    failures += missing.count { $0 > 0 }
  }

  private func handle(_ descriptor: Int32, _ happened: UInt32) {
    switch roles[Int(descriptor)] {
    case .none: return
    case .listener:
      while true {
        let server = accept(listener, nil, nil)
        guard server >= 0 else { return }
        watch(server, as: .server)
      }
    case .server:
      if happened & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { return end(descriptor) }
      mode == .trips ? echo(descriptor) : feed(descriptor)
    case .client: mode == .trips ? take(descriptor) : drop(descriptor)
    }
  }

  private func end(_ descriptor: Int32) {
    if !isOver { fail() }
    roles[Int(descriptor)] = .none
    missing[Int(descriptor)] = 0
    close(descriptor)
  }

  private func echo(_ server: Int32) {
    let received = recv(server, memory.baseAddress, count, 0)
    guard received > 0 else { return end(server) }
    if send(server, memory.baseAddress, received, Int32(MSG_NOSIGNAL)) != received { fail() }
  }

  private func take(_ client: Int32) {
    let received = recv(client, memory.baseAddress, count, 0)
    guard received > 0 else { return end(client) }
    missing[Int(client)] -= received
    guard missing[Int(client)] == 0 else { return }
    answers += 1
    if !isOver { ask(client) }
  }

  private func feed(_ server: Int32) {
    // One block, and then the others have their turn.
    _ = send(server, memory.baseAddress, count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
  }

  private func drop(_ client: Int32) {
    // MSG_TRUNC: the kernel drops the bytes without copying them here.
    let received = recv(client, memory.baseAddress, memory.count, Int32(MSG_TRUNC))
    guard received > 0 else { return end(client) }
    answers += received
  }

  /// The result in the form that the load generator has.
  var report: String {
    let failed = "{\"connect\":0,\"broken\":\(failures)}"
    return "{\"answers\":\(answers),\"seconds\":\(seconds),\"failures\":\(failed),"
      + "\"microseconds\":{},\"warmup_answers\":0}"
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
