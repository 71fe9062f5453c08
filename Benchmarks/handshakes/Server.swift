import CEpoll
import COpenSSL
import Glibc

/// Shakes hands by OpenSSL, answers one request with a fixed text and closes: what no server of TLS by
/// the same library can cost less than, since there is nothing behind it.
final class Server {
  private let context: OpaquePointer
  private let listener: Int32
  private let poll = epoll_create1(0)
  private var events = [epoll_event](repeating: epoll_event(), count: 512)
  private var memory = [UInt8](repeating: 0, count: 16_384)
  /// The connection of each descriptor.
  private var connections: [OpaquePointer?] = []
  private let answer: [UInt8]

  init(port: UInt16, certificate: String, key: String, bodyBytes: Int) {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bodyBytes)\r\nConnection: close\r\n\r\n"
    answer = Array(head.utf8) + [UInt8](repeating: 0x78, count: bodyBytes)
    guard let context = SSL_CTX_new(TLS_server_method()),
      SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM) == 1,
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1
    else { Self.stop("the certificate cannot be used") }
    self.context = context
    // What costs and is not needed: sessions in memory, a second ticket, a read for each record's head.
    SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
    SSL_CTX_set_num_tickets(context, 1)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1, nil)
    listener = listening(on: port, blocks: false, "handshakes")
    watch(listener, EPOLLIN.rawValue)
  }

  private static func stop(_ sentence: String) -> Never {
    print("handshakes: \(sentence)")
    exit(1)
  }

  private func watch(_ descriptor: Int32, _ what: UInt32) {
    while connections.count <= Int(descriptor) { connections.append(nil) }
    var event = epoll_event()
    event.events = what
    event.data.fd = descriptor
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
  }

  /// Runs until it is killed.
  func run() -> Never {
    signal(SIGPIPE, SIG_IGN)
    while true {
      let count = epoll_wait(poll, &events, Int32(events.count), -1)
      for number in 0..<max(0, Int(count)) {
        let descriptor = events[number].data.fd
        descriptor == listener ? begin() : proceed(descriptor)
      }
    }
  }

  private func begin() {
    while true {
      let client = accept(listener, nil, nil)
      guard client >= 0, fcntl(client, F_SETFL, O_NONBLOCK) == 0 else { return }
      watch(client, EPOLLIN.rawValue | EPOLLET.rawValue)
      let connection = SSL_new(context)
      SSL_set_fd(connection, client)
      SSL_set_accept_state(connection)
      connections[Int(client)] = connection
    }
  }

  private func proceed(_ descriptor: Int32) {
    guard let connection = connections[Int(descriptor)] else { return }
    let received = SSL_read(connection, &memory, Int32(memory.count))
    if received > 0 {
      SSL_write(connection, answer, Int32(answer.count))
      SSL_shutdown(connection)
    } else if SSL_get_error(connection, received) == SSL_ERROR_WANT_READ {
      return
    }
    SSL_free(connection)
    connections[Int(descriptor)] = nil
    close(descriptor)
  }
}
