/// What stands between the bytes of a stream and its socket, as TLS does.
///
/// The socket stays its stream's. Results are those of the calls on a socket: a count, or the negated
/// error number, and `EAGAIN` where the socket has to be waited for.
@safe open class SocketLayer {
  /// Creates a layer.
  public init() {}

  /// Receives into `bytes`; 0 is the end.
  open func receive(into bytes: UnsafeMutableRawBufferPointer) -> Int { -Self.notSupported }

  /// Whether the next ``receive(into:)`` waits for the socket, as far as is known.
  ///
  /// A layer may hold bytes of which the socket knows nothing any more.
  open var isDrained: Bool { true }

  /// Whether there is something to receive: bytes, the end, or a failure.
  ///
  /// What the other side says to the layer alone is taken in on the way.
  open func hasInput() -> Bool { true }

  /// Sends `bytes`, or as many of them as the socket takes now.
  ///
  /// What was not taken must be given again, from the first byte that was not. With `endsNext` the layer is
  /// closed at once behind them, and the end may go in the same packet.
  open func send(_ bytes: UnsafeRawBufferPointer, endsNext: Bool) -> Int { -Self.notSupported }

  /// Says that nothing more is sent, as far as the socket takes that now.
  open func close() {}

  // EOPNOTSUPP.
  private static let notSupported = 95
}
