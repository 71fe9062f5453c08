import CEpoll
import Glibc

/// Asks a server on this machine, either as fast as its answers come or at a fixed rate.
///
/// At a fixed rate request number n is *meant* to start at start + n / rate, and its time counts
/// from there: where the server stalls, every request that should have started meanwhile is late as
/// well. A generator that waits for an answer before it asks again leaves those out, and reports a
/// server that stops for a second as having one slow answer.
final class Generator {
  private let options: Options
  private let poll = epoll_create1(0)
  private let requests: [[UInt8]]
  private var connections: [Connection] = []
  private var idle: [Int] = []
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 64)
  private var events = [epoll_event](repeating: epoll_event(), count: 512)

  private var start: UInt64 = 0
  private var end: UInt64 = 0
  private var recordFrom: UInt64 = 0
  private var lastAnswer: UInt64 = 0
  private var dispatched = 0
  private var underway = 0
  private let planned: Int

  private(set) var report = Report()

  init(_ options: Options) {
    self.options = options
    planned = options.rate > 0 ? Int(options.rate * options.seconds) : Int.max
    var requests: [[UInt8]] = []
    for index in 0..<max(options.paths.count, options.hosts.count) {
      let path = options.paths[index % options.paths.count]
      let host = options.hosts[index % options.hosts.count]
      let end = options.closes ? "Connection: close\r\n\r\n" : "\r\n"
      requests.append(Array("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(end)".utf8))
    }
    self.requests = requests
    for index in 0..<options.connections { connections.append(Connection(index: index)) }
  }

  /// Runs to the end of the planned time and until the last answer or its limit.
  func run() {
    if !options.closes { openAll() }
    idle = options.closes ? Array(connections.indices) : connections.indices.filter { isIdle($0) }
    start = Self.now()
    end = start + UInt64(options.seconds * 1e9)
    recordFrom = start + UInt64(options.warmup * 1e9)
    lastAnswer = start
    var nextSweep = start
    while true {
      let now = Self.now()
      dispatchDue(now)
      if isFinished(now) { break }
      if now >= nextSweep {
        sweep(now)
        nextSweep = now + 100_000_000
      }
      wait(until: min(nextIntended(), nextSweep))
    }
    report.seconds = Double(lastAnswer - min(recordFrom, lastAnswer)) / 1e9
    for connection in connections { connection.close() }
  }

  /// Opens the keep-alive connections before the clock starts, so that no set-up is measured.
  private func openAll() {
    for connection in connections where !connection.open(port: options.port, poll: poll) {
      report.fail(.connect)
      connection.close()
    }
    let limit = Self.now() + UInt64(options.timeout * 1e9)
    while connections.contains(where: { $0.state == .connecting }), Self.now() < limit {
      wait(until: Self.now() + 10_000_000)
    }
    idle.removeAll()
  }

  private func isIdle(_ index: Int) -> Bool { connections[index].state == .idle }

  /// When the next request is meant to start; in the closed form that is as soon as one is free.
  private func nextIntended() -> UInt64 {
    guard options.rate > 0, dispatched < planned, !isAskedToStop() else { return .max }
    return idle.isEmpty ? .max : intendedStart(dispatched)
  }

  private func intendedStart(_ number: Int) -> UInt64 {
    start + UInt64(Double(number) * 1e9 / options.rate)
  }

  private func isFinished(_ now: UInt64) -> Bool {
    guard underway == 0 else { return false }
    if isAskedToStop() { return true }
    return options.rate > 0 ? dispatched >= planned : now >= end
  }

  private func dispatchDue(_ now: UInt64) {
    if isAskedToStop() { return }
    // No more than were free at first: one that fails at once is free again, and would be taken forever.
    for _ in 0..<idle.count {
      guard let index = idle.last else { return }
      let intended: UInt64
      if options.rate > 0 {
        guard dispatched < planned else { return }
        intended = intendedStart(dispatched)
        guard intended <= now else { return }
      } else {
        guard now < end else { return }
        intended = now
      }
      idle.removeLast()
      dispatched += 1
      underway += 1
      let connection = connections[index]
      connection.hasRequest = true
      connection.intended = intended
      connection.started = now
      begin(connection)
    }
  }

  /// Sends the request, or opens the connection that it will be sent on.
  private func begin(_ connection: Connection) {
    guard connection.state == .idle else {
      if !connection.open(port: options.port, poll: poll) { fail(connection, .connect) }
      return
    }
    let request = requests[(dispatched - 1) % requests.count]
    let sent = request.withUnsafeBytes {
      send(connection.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    connection.state = .waiting
    // A request is a few hundred bytes on an empty socket: a short write means that it is broken.
    if sent != request.count { fail(connection, .write) }
  }

  private func wait(until: UInt64) {
    let now = Self.now()
    let nanoseconds = until > now ? min(until - now, 100_000_000) : 0
    var time = timespec(tv_sec: 0, tv_nsec: Int(nanoseconds))
    let count = epoll_pwait2(poll, &events, Int32(events.count), &time, nil)
    guard count > 0 else { return }
    for number in 0..<Int(count) {
      handle(connections[Int(events[number].data.u32)], events[number].events)
    }
  }

  private func handle(_ connection: Connection, _ flags: UInt32) {
    if connection.state == .connecting {
      guard flags & (EPOLLOUT.rawValue | EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 else { return }
      guard connection.isConnected() else {
        fail(connection, .connect)
        return
      }
      connection.state = .idle
      if connection.hasRequest { begin(connection) }
      return
    }
    let ending = EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue
    if flags & (EPOLLIN.rawValue | ending) != 0 {
      read(connection, toTheEnd: flags & ending != 0)
    }
  }

  /// Reads what is there; an end that came in the same event as bytes is announced only this once.
  private func read(_ connection: Connection, toTheEnd: Bool) {
    while connection.descriptor >= 0 {
      let count = recv(connection.descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 {
        receive(connection, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        // A short read has emptied the socket: with edge-triggered events the next bytes wake us.
        if count < buffer.count, !toTheEnd { return }
      } else if count == 0 {
        ended(connection)
      } else {
        if errno != EAGAIN && errno != EINTR { ended(connection) }
        if errno != EINTR { return }
      }
    }
  }

  /// The server closed: a failure where an answer was due, and a new connection where none was.
  private func ended(_ connection: Connection) {
    if connection.hasRequest {
      fail(connection, .read)
    } else {
      connection.close()
      report.idleCloses += 1
    }
  }

  private func receive(_ connection: Connection, _ bytes: UnsafeRawBufferPointer) {
    guard connection.hasRequest else {
      fail(connection, .body)
      return
    }
    if connection.head != nil {
      connection.missing -= bytes.count
    } else if connection.partial.isEmpty {
      readHead(connection, bytes)
    } else {
      connection.partial.append(contentsOf: bytes)
      let whole = connection.partial
      whole.withUnsafeBytes { readHead(connection, $0) }
    }
    guard let head = connection.head else { return }
    if connection.missing < 0 {
      fail(connection, .body)
    } else if connection.missing == 0 {
      finish(connection, head)
    }
  }

  private func readHead(_ connection: Connection, _ bytes: UnsafeRawBufferPointer) {
    guard let head = ResponseHead.parse(bytes) else {
      if connection.partial.isEmpty { connection.partial.append(contentsOf: bytes) }
      if connection.partial.count > 65_536 { fail(connection, .body) }
      return
    }
    connection.head = head
    connection.missing = head.bodyBytes - (bytes.count - head.headBytes)
    if head.bodyBytes < 0 { connection.missing = -1 }
  }

  private func finish(_ connection: Connection, _ head: ResponseHead) {
    guard (200...299).contains(head.status) else {
      fail(connection, .status)
      return
    }
    guard options.bodyBytes < 0 || head.bodyBytes == options.bodyBytes else {
      fail(connection, .body)
      return
    }
    let now = Self.now()
    if now >= recordFrom {
      report.answers += 1
      record(now - connection.intended, of: connection.intended)
    } else {
      report.warmupAnswers += 1
    }
    lastAnswer = now
    release(connection, closing: head.closes || options.closes)
  }

  private func record(_ time: UInt64, of intended: UInt64) {
    if options.window > 0, UInt64(Double(intended) / 1e9 / options.window) % 2 == 1 {
      report.oddTimes.record(time)
    } else {
      report.times.record(time)
    }
  }

  private func fail(_ connection: Connection, _ failure: Connection.Failure) {
    report.fail(failure)
    if connection.hasRequest {
      release(connection, closing: true)
    } else {
      connection.close()
    }
  }

  /// Makes a connection free for the next request; a closed one is opened again when it is needed.
  private func release(_ connection: Connection, closing: Bool) {
    connection.hasRequest = false
    connection.head = nil
    connection.partial.removeAll(keepingCapacity: true)
    if closing { connection.close() } else { connection.state = .idle }
    underway -= 1
    idle.append(connection.index)
  }

  private func sweep(_ now: UInt64) {
    let limit = UInt64(options.timeout * 1e9)
    for connection in connections where connection.hasRequest && now > connection.started + limit {
      fail(connection, .timeout)
    }
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
