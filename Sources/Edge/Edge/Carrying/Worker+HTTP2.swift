import HTTP2
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry

/// Connections of HTTP/2, and the connections of HTTP/1.1 that serve their streams.
extension Worker {
  /// Keeps a connection that has turned out to speak HTTP/2.
  func attend(_ connection: HTTP2Connection) {
    let number = Int(connection.stream.descriptor)
    while http2.count <= number { http2.append(nil) }
    http2[number] = connection
    noteTakenOver(connection.acceptor.plan.metrics)
  }

  /// Lets go of a connection that has ended.
  func forget(_ connection: HTTP2Connection) {
    if let tls = connection.tls { noteFault(of: tls, connection.peer, at: connection.acceptor) }
    http2[Int(connection.stream.descriptor)] = nil
    noteClosed(connection.acceptor.plan.metrics)
  }

  /// The connection with this descriptor.
  func http2Connection(of descriptor: Int32) -> HTTP2Connection? {
    let index = Int(descriptor)
    return index < http2.count ? http2[index] : nil
  }

  /// The connection that serves the stream with this descriptor.
  func carried(by descriptor: Int32) -> HTTP1Connection? {
    guard let kernel = innerKernel, kernel.isInner(descriptor) else { return nil }
    let place = kernel.place(of: descriptor)
    return place < carried.count ? carried[place] : nil
  }

  /// Serves a stream of a connection.
  ///
  /// - Returns: What serves it; nil when the loop cannot watch its socket.
  func serve(
    _ socket: consuming Descriptor,
    of connection: HTTP2Connection
  ) -> HTTP1Connection? {
    guard let kernel = innerKernel else { return nil }
    do throws(SystemError) {
      let served = HTTP1Connection(
        stream: try Stream(adopting: socket, on: loop),
        carriedBy: connection
      )
      let place = kernel.place(of: served.stream.descriptor)
      while carried.count <= place { carried.append(nil) }
      carried[place] = served
      served.rest()
      return served
    } catch {
      noteAccepting(error, at: connection.acceptor.plan.key)
      return nil
    }
  }

  /// Lets go of a connection that serves a stream.
  func forgetCarried(_ connection: HTTP1Connection) {
    guard let kernel = innerKernel else { return }
    carried[kernel.place(of: connection.stream.descriptor)] = nil
  }

  /// Tells the clients of HTTP/2 whose listener is no longer there, or all of them, that an end is near.
  func shutDownHTTP2() {
    for case let connection? in http2 where isDraining || connection.acceptor.isClosing {
      connection.shutDown()
      if closesIdle, connection.isIdle { connection.stream.cancel() }
    }
  }

  /// Ends the connections of HTTP/2 at once.
  func cutHTTP2() {
    for case let connection? in http2 { connection.close() }
  }

  /// What a member of WebSocket wants to see, and a client of HTTP/2 does not send.
  ///
  /// RFC 6455, section 4.1, and RFC 8441, section 5.
  func webSocketKey() -> [UInt8] {
    var text = Array("Sec-WebSocket-Key: ".utf8)
    // 21 characters of any six bits, and one of two: sixteen bytes.
    for index in 0..<22 {
      let bits = UInt8(truncatingIfNeeded: random.next() >> 32)
      text.append(Self.letters[Int(index == 21 ? bits & 0x30 : bits & 0x3F)])
    }
    return text + Array("==\r\n".utf8)
  }

  private static let letters = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
  )

  // MARK: What is told

  /// Notes that a connection was ended for what its client did.
  func noteFault(_ fault: ConnectionFault, of connection: HTTP2Connection) {
    noteHTTP2("a connection of HTTP/2 was ended", fault.reason, connection)
  }

  /// Notes that a request of HTTP/2 was malformed.
  func noteMalformed(_ reason: String, from connection: HTTP2Connection) {
    noteHTTP2("a request of HTTP/2 was malformed", reason, connection)
  }

  /// Whoever can connect can do wrong: the log takes a line a second of that, the counters all.
  private func noteHTTP2(_ text: String, _ reason: String, _ connection: HTTP2Connection) {
    if let next = nextHTTP2Note, !loop.hasPassed(next) {
      unnotedHTTP2 += 1
      return
    }
    nextHTTP2Note = loop.deadline(after: Timeout(.seconds(1)))
    var fields = [
      LogLine.Field("listener", connection.acceptor.plan.key),
      LogLine.Field("client", "\(connection.peer)"), LogLine.Field("reason", reason),
    ]
    if unnotedHTTP2 > 0 { fields.append(LogLine.Field("others", unnotedHTTP2)) }
    unnotedHTTP2 = 0
    board.log.note(.warning, text, fields)
  }
}
