import Applications
import MartletLoop
import MartletNet
import MartletSystem

/// The way of a request's body to an application that reads it while it comes.
///
/// The socket is the bound: while it is full, nothing more is read from the client. An application that
/// reads no more of it ends nothing but this way: what still comes is dropped, and its answer is passed on.
final class StreamedBody {
  private let loop: EventLoop
  /// Our end; nil: nothing more passes.
  private var socket: OpenFile?
  private var isEnding = false
  private var isClosed = false
  private var awaitsRoom = false
  /// Told when there is room again, after less was taken than was given; not when it was closed.
  private let hasRoom: () -> Void

  /// Creates a way, with the end of it that the application reads from.
  ///
  /// - Throws: ``SystemError`` when there is no socket for it.
  static func open(
    on loop: EventLoop,
    hasRoom: @escaping () -> Void
  ) throws(SystemError) -> (body: StreamedBody, end: OpenFile) {
    let (own, its) = try OpenFile.messagePair()
    try own.descriptor.setNonblocking()
    return (StreamedBody(own, on: loop, hasRoom: hasRoom), its)
  }

  private init(_ socket: OpenFile, on loop: EventLoop, hasRoom: @escaping () -> Void) {
    self.socket = socket
    self.loop = loop
    self.hasRoom = hasRoom
  }

  /// Whether everything was passed on, or nobody reads it.
  var isOver: Bool { socket == nil }

  /// Passes on as much as there is room for.
  ///
  /// - Returns: How many bytes that were.
  func pass(_ bytes: Span<UInt8>) -> Int {
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + WorkerRequest.pieceLimit)
      guard send(bytes.extracting(offset..<end)) else { return offset }
      offset = end
    }
    return offset
  }

  /// Says that the body is over.
  func end() {
    isEnding = true
    let nothing: [UInt8] = []
    if send(nothing.span) { socket = nil }
  }

  /// Ends the way before its end, which tells the application that its client has gone.
  func close() {
    if let socket, awaitsRoom { loop.cancelWaits(of: socket.number) }
    socket = nil
    isClosed = true
  }

  /// Sends a part; false: there is no room for it.
  private func send(_ part: Span<UInt8>) -> Bool {
    guard let socket else { return true }
    do throws(SystemError) {
      _ = try socket.descriptor.send(WorkerRequest.piece(of: part).span, descriptors: [])
      return true
    } catch {
      guard error.wouldBlock else {
        self.socket = nil
        return true
      }
      guard !awaitsRoom else { return false }
      awaitsRoom = true
      let body = self
      loop.spawn(named: "wait until an application reads a body") { await body.awaitRoom(socket) }
      return false
    }
  }

  private func awaitRoom(_ socket: OpenFile) async {
    do throws(SystemError) {
      try loop.watch(socket.number)
      defer { loop.forget(socket.number, staysOpen: true) }
      do throws(WaitError) { try await loop.writable(socket.number, by: .never) } catch {}
    } catch {
      self.socket = nil
    }
    awaitsRoom = false
    guard !isClosed else { return }
    if isEnding { end() } else { hasRoom() }
  }
}
