import CEpoll
import Glibc

/// One client connection: its socket and where it stands with its request.
final class Connection {
  enum State {
    case closed, connecting, idle, waiting
  }

  /// Why a request did not get its answer; the names are those of the report.
  enum Failure: Int, CaseIterable {
    case connect, read, write, status, body, timeout
  }

  let index: Int
  var descriptor: Int32 = -1
  var state = State.closed
  /// When the request was meant to start, on the monotonic clock.
  var intended: UInt64 = 0
  /// When the request was given to this connection: what the answer's limit counts from.
  var started: UInt64 = 0
  /// Whether a request is this connection's to answer for.
  var hasRequest = false
  /// Bytes of a head that came in pieces.
  var partial: [UInt8] = []
  /// The head of the answer under way.
  var head: ResponseHead?
  /// Bytes of the body still to come.
  var missing = 0

  init(index: Int) {
    self.index = index
  }

  /// Starts a connection to a port of this machine; registered for both directions, edge-triggered.
  ///
  /// - Returns: Whether the connection is open or on its way.
  func open(port: UInt16, poll: Int32) -> Bool {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return false }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
    event.data.u32 = UInt32(index)
    guard epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) == 0 else { return false }
    let result = withAddress(port) { connect(descriptor, $0, $1) }
    state = .connecting
    return result == 0 || errno == EINPROGRESS
  }

  /// Whether a connection that was on its way arrived.
  func isConnected() -> Bool {
    var error: Int32 = 0
    var length = socklen_t(4)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
    return error == 0
  }

  /// Closes the socket; the object can be opened again.
  func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
    state = .closed
    partial.removeAll(keepingCapacity: true)
    head = nil
    missing = 0
  }
}
