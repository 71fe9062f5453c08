import COpenSSL
public import MartletSystem

// Invariant of this file: a session belongs to one loop and owns what it points to; buffers are borrowed
// from the caller for one call; texts of OpenSSL are copied at once.

/// One connection's TLS: the handshake, and then bytes both ways.
///
/// The socket stays its owner's, who closes it after the session is gone.
@safe
public final class TLSSession: SocketLayer {
  private let pointer: OpaquePointer
  /// What it began with, which its callbacks need.
  private let context: TLSContext

  /// Which side of a connection this is.
  public enum Side: Sendable {
    /// The one that was connected to.
    case server
    /// The one that has connected.
    case client
  }

  /// Where a handshake has come to.
  public enum Progress: Hashable, Sendable {
    /// Bytes can pass.
    case done
    /// The other side has to say something.
    case needsInput
    /// The socket takes no more for now.
    case needsRoom
    /// The connection is of no more use.
    case failed(TLSFailure)
  }

  /// Creates the session of a socket, on which `carried` came already.
  ///
  /// - Throws: ``TLSError`` without memory.
  public init(
    _ context: TLSContext,
    socket: Int32,
    as side: Side,
    carried: Span<UInt8> = Span()
  ) throws(TLSError) {
    guard let made = unsafe martlet_tls_new(context.pointer, socket, side == .server ? 1 : 0) else {
      throw .noted("no session")
    }
    unsafe pointer = made
    self.context = context
    super.init()
    let isCarried = unsafe carried.withUnsafeBufferPointer { bytes in
      unsafe martlet_tls_carry(made, bytes.baseAddress, bytes.count) == 1
    }
    guard isCarried else { throw TLSError("no memory") }
  }

  /// Creates the session of a socket that has connected to a server.
  ///
  /// - Throws: ``TLSError``: a name is none, or there is no memory.
  public convenience init(
    _ context: TLSContext,
    socket: Int32,
    to server: TLSServerName
  ) throws(TLSError) {
    try self.init(context, socket: socket, as: .client)
    let result = unsafe martlet_tls_expect(
      pointer,
      server.asked,
      server.verified,
      server.isAddress ? 1 : 0
    )
    guard result == 1 else { throw .noted("the name of the server cannot be used") }
  }

  deinit { unsafe martlet_tls_free(pointer) }

  /// Continues an earlier session, if the server still knows of it.
  ///
  /// Called before the handshake.
  public func resume(_ earlier: TLSTicket) {
    // One that cannot be used is as good as none.
    _ = unsafe martlet_tls_resume(pointer, earlier.pointer)
  }

  /// What continues this session on another connection; nil where the server gave nothing.
  public var ticket: TLSTicket? {
    unsafe martlet_tls_session(pointer).map { unsafe TLSTicket(adopting: $0) }
  }

  /// Goes on with the handshake as far as it can.
  public func handshake() -> Progress {
    switch Int(unsafe martlet_tls_handshake(pointer)) {
    case martlet_tls_done: .done
    case martlet_tls_needs_input: .needsInput
    case martlet_tls_needs_room: .needsRoom
    default: .failed(failure())
    }
  }

  private func failure() -> TLSFailure {
    var failure = TLSFailure.taken()
    let error = unsafe martlet_tls_socket_error(pointer)
    if error > 0 { return TLSFailure(.closed, SystemError.message(of: error)) }
    if error < 0, failure.cause != .refused { return TLSFailure(.closed) }
    if failure.cause == .malformed, beginsAsHTTP { failure.cause = .plainHTTP }
    if failure.cause == .certificate, let reason = verifyText { failure.text += ": \(reason)" }
    return failure
  }

  /// Why the certificate of the other side is not good.
  private var verifyText: String? {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { out in
      guard let start = out.baseAddress,
        unsafe martlet_tls_verify_text(pointer, start, out.count) == 1
      else { return nil }
      return unsafe String(cString: start)
    }
  }

  /// What the other side has done behind the handshake that it may not, told once; nil: nothing.
  public func takeFault() -> TLSFault? {
    var error: UInt64 = 0
    let kind: TLSFault.Kind
    switch Int(unsafe martlet_tls_take_fault(pointer, &error)) {
    case martlet_fault_renegotiation: kind = .renegotiation
    case martlet_fault_new_keys: kind = .newKeys
    case martlet_fault_malformed: kind = .malformed
    case martlet_fault_refused: kind = .refused
    default: return nil
    }
    return TLSFault(kind: kind, text: error == 0 ? "" : TLSFailure.text(of: error))
  }

  /// Whether nothing has come yet.
  public var hasHeardNothing: Bool { firstBytes.isEmpty }

  private var firstBytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 8)
    let count = unsafe martlet_tls_first_bytes(pointer, &bytes)
    return Array(bytes.prefix(count))
  }

  /// Whether the other side has begun with the method of a request and a space, or with letters that may
  /// become one.
  private var beginsAsHTTP: Bool {
    let method = firstBytes.prefix { (0x41...0x5A).contains($0) }
    return method.count >= 3
      && (method.count == 8 || firstBytes.dropFirst(method.count).first == 0x20)
  }

  // MARK: Bytes

  /// Receives into `bytes`; 0 is the end.
  public override func receive(into bytes: UnsafeMutableRawBufferPointer) -> Int {
    Int(unsafe martlet_tls_receive(pointer, bytes.baseAddress, bytes.count))
  }

  /// Whether the next receive waits for the socket, as far as is known.
  public override var isDrained: Bool { unsafe martlet_tls_is_drained(pointer) != 0 }

  /// Whether there is something to receive: bytes, the end, or a failure.
  public override func hasInput() -> Bool { unsafe martlet_tls_has_input(pointer) != 0 }

  /// Sends `bytes`, or as many of them as the socket takes now.
  public override func send(_ bytes: UnsafeRawBufferPointer, endsNext: Bool) -> Int {
    Int(unsafe martlet_tls_send(pointer, bytes.baseAddress, bytes.count, endsNext ? 1 : 0))
  }

  /// Says that nothing more is sent, as far as the socket takes that now.
  public override func close() { unsafe martlet_tls_close(pointer) }

  // MARK: What was agreed on

  /// The version, as OpenSSL calls it: `TLSv1.3`.
  public var version: String { unsafe String(cString: martlet_tls_version(pointer)) }

  /// The cipher, as OpenSSL calls it.
  public var cipher: String { unsafe String(cString: martlet_tls_cipher(pointer)) }

  /// The host that the client has asked for; empty: none.
  public var serverName: String {
    guard let name = unsafe martlet_tls_server_name(pointer) else { return "" }
    return unsafe String(cString: name)
  }

  /// The protocol that ALPN has chosen; empty: none.
  public var protocolName: String {
    var name: UnsafePointer<UInt8>?
    let count = unsafe martlet_tls_protocol(pointer, &name)
    return unsafe String(decoding: UnsafeBufferPointer(start: name, count: count), as: UTF8.self)
  }

  /// Whether an earlier session was continued.
  public var isResumed: Bool { unsafe martlet_tls_is_resumed(pointer) != 0 }

  /// The certificate that the other side has shown, if it is good; nil: none.
  public var peer: TLSCertificates? {
    unsafe martlet_tls_peer(pointer).map { unsafe TLSCertificates(adopting: $0) }
  }
}

extension TLSSession {
  /// Whether the other side has shown the proof of a name, or of an address: a certificate for it alone that holds
  /// these 32 bytes.
  ///
  /// - Source: RFC 8737, section 3.
  public func showsProof(_ digest: [UInt8], for name: String, isAddress: Bool) -> Bool {
    guard digest.count == 32 else { return false }
    return unsafe martlet_tls_shows_proof(pointer, name, isAddress ? 1 : 0, digest) == 1
  }
}

/// Whom a client wants to speak to.
public struct TLSServerName: Hashable, Sendable {
  /// The host that is asked for; nil: none.
  public var asked: String?
  /// The host or the address that the certificate must be for; nil: any.
  public var verified: String?
  /// Whether ``verified`` is an address.
  public var isAddress: Bool

  /// Creates a name.
  public init(asked: String?, verified: String?, isAddress: Bool = false) {
    self.asked = asked
    self.verified = verified
    self.isAddress = isAddress
  }
}

/// What a client continues a session with.
@safe
public final class TLSTicket {
  let pointer: OpaquePointer

  init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe martlet_session_free(pointer) }
}
