public import MartletLoop
import MartletNet
public import MartletSystem

/// One answer.
public struct AdminPage: Sendable {
  /// The media types there are.
  public enum Form: String, Sendable {
    /// The text form of Prometheus.
    case metrics = "text/plain; version=0.0.4; charset=utf-8"
    /// A JSON object.
    case json = "application/json"
  }

  var form: Form
  var body: [UInt8]

  /// Creates a page.
  public init(_ form: Form, _ body: [UInt8]) {
    self.form = form
    self.body = body
  }
}

/// Answers GET requests with pages, on a loop.
public final class AdminServer {
  /// The longest head in bytes.
  public static let headBytes = 8 << 10
  /// The most connections at once; more are closed.
  public static let connectionLimit = 32

  private let loop: EventLoop
  private let listener: Listener
  private let page: (String) -> AdminPage?
  private var connectionCount = 0

  /// Serves the connections of a listening socket, each with the page of its path, until ``close()``.
  ///
  /// - Throws: ``SystemError`` when the loop cannot watch the socket.
  public init(
    _ socket: OpenFile,
    on loop: EventLoop,
    page: @escaping (_ path: String) -> AdminPage?
  ) throws(SystemError) {
    self.loop = loop
    self.page = page
    listener = try Listener(adopting: try socket.descriptor.duplicate(), on: loop)
    let server = self
    loop.spawn(named: "accept connections of the control socket") { await server.accept() }
  }

  /// Accepts no more.
  public func close() { listener.cancel() }

  private func accept() async {
    let server = self
    while true {
      do throws(StreamError) {
        let accepted = try await listener.accept()
        guard connectionCount < Self.connectionLimit else { continue }
        let stream = try Self.stream(accepted.descriptor, on: loop)
        connectionCount += 1
        loop.spawn(named: "serve a connection of the control socket") { await server.serve(stream) }
      } catch {
        if error == .cancelled { return }
        // No descriptor is left; others will be closed.
        do throws(WaitError) { try await loop.sleep(for: .milliseconds(100)) } catch { return }
      }
    }
  }

  private static func stream(
    _ descriptor: consuming Descriptor,
    on loop: EventLoop
  ) throws(StreamError) -> Stream {
    do throws(SystemError) {
      return try Stream(adopting: descriptor, on: loop)
    } catch {
      throw .failed(error)
    }
  }

  private func serve(_ stream: Stream) async {
    defer { connectionCount -= 1 }
    let deadline = loop.deadline(after: Timeout(.seconds(10)))
    do throws(StreamError) {
      var head: [UInt8] = []
      while !Self.isComplete(head) {
        let part = try await stream.read(.head, by: deadline)
        if part.isEmpty { return }
        for index in 0..<part.count { head.append(part.bytes[index]) }
        guard head.count <= Self.headBytes else {
          try await stream.write(Self.answer("431 Request Header Fields Too Large"), by: deadline)
          return
        }
      }
      try await stream.write(answer(to: head), by: deadline)
      stream.shutdownWrite()
    } catch {
      // The other side is slow or gone: nobody waits for the answer.
    }
  }

  private static func isComplete(_ head: [UInt8]) -> Bool {
    let end: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A]
    guard head.count >= end.count else { return false }
    return (0...(head.count - end.count)).contains {
      head[$0..<($0 + end.count)].elementsEqual(end)
    }
  }

  private func answer(to head: [UInt8]) -> [UInt8] {
    let line = String(decoding: head.prefix { $0 != 0x0D }, as: UTF8.self)
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
      return Self.answer("400 Bad Request")
    }
    guard words[0] == "GET" else { return Self.answer("405 Method Not Allowed") }
    let path = words[1].prefix { $0 != "?" }
    guard let page = page(String(path)) else { return Self.answer("404 Not Found") }
    return Self.answer("200 OK", page.form.rawValue, page.body)
  }

  private static func answer(
    _ status: String,
    _ form: String = "text/plain",
    _ body: [UInt8] = []
  ) -> [UInt8] {
    let head = [
      "HTTP/1.1 \(status)", "Content-Type: \(form)", "Content-Length: \(body.count)",
      "Cache-Control: no-store", "Connection: close", "", "",
    ]
    return Array(head.joined(separator: "\r\n").utf8) + body
  }
}
