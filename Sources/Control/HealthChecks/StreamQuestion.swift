import Configuration
import Edge
import MartletLoop
import MartletNet
import MartletSystem
import Probes

/// Asks a target over a connection.
///
/// The calls to the kernel are what a check costs, so there are few of them:
///
/// - With `TCP_QUICKACK` off the acknowledgment that completes the handshake is not sent by itself: it
///   goes with the question, or not at all.
/// - Where nothing is asked, the connection is reset then, and the member's program never hears of it.
/// - A connection to this machine stands as soon as `connect(2)` returns, so that nothing is waited for;
///   a second call asks for that. Where that is all, one socket serves all such checks, and nobody waits.
final class StreamQuestion: CheckQuestion {
  private let check: MemberCheck
  private let loop: EventLoop
  private let sockets: ScratchSockets
  private let resting: RestingQuestions
  /// What each connection begins with.
  private let preface: [UInt8]
  private let opening: [UInt8]
  /// What reads the answer; nil where a connection is enough.
  private let probe: StreamProbe?
  private let timeout: Timeout
  private let keepsConnection: Bool
  private var kept: Stream?
  /// Where it always asks; nil where a name is looked up, whose addresses have their turns.
  private let fixedAddress: SocketAddress?
  private var turn = 0
  /// The address whose turn it is, where it could not be asked at once.
  private var chosen: SocketAddress?
  /// The question that was asked on the connection that was kept; nil: none.
  private var present: Present?

  private struct Present {
    let stream: Stream
    let deadline: Deadline
    var probe: StreamProbe
    var hasHeard = false
  }

  init(
    _ check: MemberCheck,
    _ sockets: ScratchSockets,
    _ resting: RestingQuestions,
    on loop: EventLoop
  ) {
    self.check = check
    self.sockets = sockets
    self.resting = resting
    self.loop = loop
    let settings = check.settings
    timeout = Timeout(settings.timeout)
    keepsConnection = settings.keepsConnection
    fixedAddress = check.fixedAddress
    preface = check.proxyHeader.map(Self.preface) ?? []
    switch settings.kind {
    case .http:
      let question = check.httpQuestion
      opening = question.request
      probe = .http(HTTPProbe(question))
    case .tls:
      let random = (0..<TLSProbe.randomBytes).map { _ in UInt8.random(in: 0...255) }
      opening = TLSProbe.opening(serverName: settings.serverName, random: random)
      probe = .tls(TLSProbe())
    case .redis:
      opening = RedisProbe.opening
      probe = .redis(RedisProbe())
    case .postgresql:
      opening = PostgreSQLProbe.opening(user: settings.user)
      probe = .postgresql(PostgreSQLProbe())
    case .mysql:
      opening = []
      probe = .mysql(MySQLProbe())
    case .grpc:
      let service = settings.service ?? ""
      opening = GRPCProbe.opening(service: service, host: settings.serverName ?? check.hostName)
      probe = .grpc(GRPCProbe(service: service))
    case .tcp, .icmp, .udp, .script:
      opening = settings.send
      // Whoever is sent something answers something.
      let pattern = settings.expect ?? (settings.send.isEmpty ? nil : "")
      probe = pattern.map { .expect(ExpectProbe(BytePattern($0))) }
    }
  }

  /// A PROXY header that speaks for nobody but this machine: LOCAL in version 2, UNKNOWN in version 1.
  private static func preface(_ version: ProxySending.Version) -> [UInt8] {
    switch version {
    case .v1: Array("PROXY UNKNOWN\r\n".utf8)
    case .v2:
      [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x20, 0, 0, 0]
    }
  }

  private static let nowhere = ProbeVerdict.failed(.unreachable, "the name has no address")

  private func nextAddress() -> SocketAddress? {
    if let fixedAddress { return fixedAddress }
    let addresses = check.addresses
    guard !addresses.isEmpty else { return nil }
    turn = (turn + 1) % addresses.count
    return addresses[turn]
  }

  func begin(for target: CheckedTarget) -> QuestionState {
    guard let probe else { return connect() }
    guard let stream = kept, stream.layer == nil, loop.keeper === resting,
      !stream.hasUnexpectedEvent()
    else { return .waits }
    kept = nil
    do throws(StreamError) {
      guard try stream.writeNow(opening, from: 0) == opening.count else { return .waits }
    } catch {
      // A connection that the member has closed meanwhile says nothing about it.
      return .waits
    }
    let deadline = loop.deadline(after: timeout)
    present = Present(stream: stream, deadline: deadline, probe: probe)
    resting.rest(self, over: stream, until: deadline, for: target)
    return .asked
  }

  /// Connects, where that is all and needs no wait.
  private func connect() -> QuestionState {
    guard let address = nextAddress() else { return .answered(Self.nowhere) }
    do throws(SystemError) {
      if address.port != nil, address.isOfThisMachine, try sockets.connects(to: address) {
        return .answered(.passed("connected"))
      }
    } catch {
      return .answered(.failed(ProbeFailure(connecting: error)))
    }
    chosen = address
    return .waits
  }

  /// Goes on with a question that has rested.
  func woke(hasInput: Bool, for target: CheckedTarget) {
    guard var now = present.take() else { return }
    guard hasInput else { return target.conclude(Self.late(now.hasHeard)) }
    do throws(StreamError) {
      while let part = try now.stream.readNow(.head) {
        guard !part.isEmpty else {
          return now.hasHeard ? target.conclude(now.probe.end()) : target.askPatiently()
        }
        now.hasHeard = true
        guard let verdict = now.probe.receive(part.bytes) else { continue }
        if verdict.isPassed, now.probe.keepsConnection { kept = now.stream }
        return target.conclude(verdict)
      }
    } catch {
      guard now.hasHeard else { return target.askPatiently() }
      return target.conclude(.failed(.reset, error.words))
    }
    present = now
    resting.rest(self, over: now.stream, until: now.deadline, for: target)
  }

  private static func late(_ hasHeard: Bool) -> ProbeVerdict {
    .failed(.timeout, hasHeard ? "the answer is not whole" : "no answer")
  }

  func ask() async -> ProbeVerdict {
    let deadline = loop.deadline(after: timeout)
    if let stream = kept {
      kept = nil
      // A connection that the member has closed meanwhile says nothing about it.
      if !stream.hasUnexpectedEvent(),
        let verdict = await talk(over: stream, isReused: true, by: deadline)
      {
        return verdict
      }
    }
    guard let address = chosen.take() ?? nextAddress() else { return Self.nowhere }
    do throws(ProbeFailure) {
      guard let stream = try await open(address, by: deadline) else {
        return .passed("connected")
      }
      try await secure(stream, by: deadline)
      return await talk(over: stream, isReused: false, by: deadline)
        ?? .failed(.closed, "closed within its answer")
    } catch {
      return .failed(error)
    }
  }

  /// Connects.
  ///
  /// - Returns: The connection, or nil when it was enough that there was one.
  /// - Throws: ``Probes/ProbeFailure``.
  private func open(
    _ address: SocketAddress,
    by deadline: Deadline
  ) async throws(ProbeFailure) -> Stream? {
    do throws(SystemError) {
      let socket = try Descriptor.stream(for: address)
      if address.port != nil {
        try socket.set(.quickAcknowledge, to: 0)
        if probe == nil { try socket.resetOnClose() }
      }
      var isConnected = try socket.connect(to: address)
      if !isConnected, address.isOfThisMachine { isConnected = try socket.isConnected(to: address) }
      if isConnected, probe == nil { return nil }
      let stream = try Stream(adopting: socket, on: loop)
      if !isConnected {
        try await standing(stream, by: deadline)
        if probe == nil { return nil }
      }
      return stream
    } catch {
      throw ProbeFailure(connecting: error)
    }
  }

  /// Begins TLS where the target speaks it; `check tls` asks for the beginning of that alone.
  private func secure(
    _ stream: Stream,
    by deadline: Deadline
  ) async throws(ProbeFailure) {
    guard let tls = check.tls, check.settings.kind != .tls, probe != nil else { return }
    do throws(TLSHandshakeError) {
      let use = check.settings.kind == .grpc ? MemberTLSPlan.Use.http2 : .http1
      _ = try await tls.secure(stream, to: check.location, for: use, on: loop, by: deadline)
    } catch {
      switch error {
      case .ended: throw ProbeFailure(.timeout, "no TLS")
      case .failed(let failure): throw ProbeFailure(.malformed, failure.words)
      }
    }
  }

  /// Waits until a connection stands.
  private func standing(_ stream: Stream, by deadline: Deadline) async throws(SystemError) {
    do throws(WaitError) {
      try await loop.writable(stream.descriptor, by: deadline)
    } catch {
      throw SystemError(.connect, Self.timedOut)
    }
    let code = try stream.value(of: .pendingError)
    if code != 0 { throw SystemError(.connect, code) }
  }

  /// `ETIMEDOUT`.
  static let timedOut: Int32 = 110

  /// Asks and reads the answer.
  ///
  /// - Returns: nil when a connection that was used before has ended instead.
  private func talk(
    over stream: Stream,
    isReused: Bool,
    by deadline: Deadline
  ) async -> ProbeVerdict? {
    guard var probe else { return .passed("connected") }
    var hasHeard = false
    do throws(StreamError) {
      let question = isReused ? opening : preface + opening
      if !question.isEmpty { try await stream.write(question, by: deadline) }
      while true {
        let part = try await stream.read(.head, by: deadline)
        guard !part.isEmpty else { return isReused && !hasHeard ? nil : probe.end() }
        hasHeard = true
        guard let verdict = probe.receive(part.bytes) else { continue }
        if verdict.isPassed, keepsConnection, probe.keepsConnection { kept = stream }
        return verdict
      }
    } catch {
      switch error {
      case .timedOut, .cancelled:
        return Self.late(hasHeard)
      case .failed(let error): return isReused && !hasHeard ? nil : .failed(.reset, "\(error)")
      }
    }
  }
}

/// Sockets with which checks of this machine's own ports connect one after the other.
///
/// To make and to close a socket costs half as much as the connection itself, which is all that they
/// want.
final class ScratchSockets {
  private var ipv4: OpenFile?
  private var ipv6: OpenFile?

  /// Connects to an address of the loopback, and resets the connection.
  ///
  /// - Returns: Whether that was possible at once.
  /// - Throws: ``MartletSystem/SystemError`` when it was refused.
  func connects(to address: SocketAddress) throws(SystemError) -> Bool {
    let isIPv4 = if case .ipv4 = address { true } else { false }
    let file = isIPv4 ? ipv4.take() : ipv6.take()
    let socket = if let file { file } else { try Self.make(for: address) }
    if try !socket.descriptor.connect(to: address),
      try !socket.descriptor.isConnected(to: address)
    {
      // What is under way ends with the socket.
      return false
    }
    try socket.descriptor.disconnect()
    if isIPv4 { ipv4 = socket } else { ipv6 = socket }
    return true
  }

  /// A socket whose handshakes are not acknowledged at once, like those without `TCP_QUICKACK`, which
  /// would have to be told so anew for each connection.
  private static func make(for address: SocketAddress) throws(SystemError) -> OpenFile {
    let socket = OpenFile(try Descriptor.stream(for: address))
    try socket.descriptor.set(.deferAccept, to: 1)
    return socket
  }
}

extension StreamError {
  /// The kernel's words.
  fileprivate var words: String {
    if case .failed(let error) = self { "\(error)" } else { "\(self)" }
  }
}

extension ProbeFailure {
  /// What it means that a connection cannot be opened, or a datagram cannot be sent or received.
  init(connecting error: SystemError) {
    let isOurs: Set<Int32> = [
      // EPERM, ENOMEM, EACCES, EINVAL, ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS.
      1, 12, 13, 22, 23, 24, 99, 105,
    ]
    if error.code == StreamQuestion.timedOut {
      self.init(.timeout, "no connection")
    } else if error.call != .connect || isOurs.contains(error.code) {
      self.init(.local, "\(error)")
    } else if error.code == 104 {
      self.init(.reset, "\(error)")
    } else {
      self.init(.unreachable, "\(error)")
    }
  }
}

extension MemberCheck {
  /// The host that is asked for; a Unix socket has no name that a server could be asked for.
  fileprivate var hostName: String { memberName.hasPrefix("unix:") ? "localhost" : memberName }

  /// The question of `check http`.
  var httpQuestion: HTTPQuestion {
    let http = settings.http
    let statuses = http.statuses.isEmpty ? CheckSettings.usualStatuses : http.statuses
    return HTTPQuestion(
      method: http.method,
      path: http.path,
      host: http.host ?? hostName,
      fields: http.fields.map { (name: $0.name, value: $0.value) },
      statuses: statuses.map(\.bounds),
      body: http.body.map { BytePattern($0) },
      keepsConnection: settings.keepsConnection
    )
  }
}
