import CLinux

extension SocketOption {
  /// Sets the option of the socket with this number.
  ///
  /// System call: `setsockopt(2)`.
  ///
  /// - Throws: ``SystemError`` when the socket does not know the option or the value.
  public func set(to value: Int32, on descriptor: Int32) throws(SystemError) {
    try check(martlet_set_option(descriptor, level, name, value), .setsockopt)
  }

  /// The value of the option of the socket with this number.
  ///
  /// System call: `getsockopt(2)`.
  ///
  /// - Throws: ``SystemError`` when the socket does not know the option.
  public func value(on descriptor: Int32) throws(SystemError) -> Int32 {
    Int32(truncatingIfNeeded: try check(martlet_get_option(descriptor, level, name), .getsockopt))
  }
}

extension SocketAddress {
  /// The address the socket with this number is bound to.
  ///
  /// System call: `getsockname(2)`.
  ///
  /// - Throws: ``SystemError`` when the descriptor is no socket.
  public init(boundTo descriptor: Int32) throws(SystemError) {
    var form = martlet_address()
    // Safe: the kernel writes no more than the storage holds.
    try check(unsafe martlet_local_address(descriptor, &form), .getsockname)
    self.init(&form)
  }
}

/// An option of a socket, by the name its manual page gives it.
public struct SocketOption: Hashable, Sendable {
  /// The level and the name of `setsockopt(2)`.
  @usableFromInline let level: Int32
  @usableFromInline let name: Int32

  init(_ level: Int32, _ name: Int32) {
    self.level = level
    self.name = name
  }

  /// `SO_REUSEADDR`: bind although connections of an earlier listener are in TIME_WAIT.
  public static let reuseAddress = Self(martlet_level_socket, martlet_option_reuse_address)
  /// `SO_REUSEPORT`: several sockets share the port, the kernel spreads connections over them.
  public static let reusePort = Self(martlet_level_socket, martlet_option_reuse_port)
  /// `SO_KEEPALIVE`: probe an idle connection.
  public static let keepAlive = Self(martlet_level_socket, martlet_option_keep_alive)
  /// `SO_RCVBUF` in bytes.
  public static let receiveBuffer = Self(martlet_level_socket, martlet_option_receive_buffer)
  /// `SO_SNDBUF` in bytes.
  public static let sendBuffer = Self(martlet_level_socket, martlet_option_send_buffer)
  /// `SO_BROADCAST`.
  public static let broadcast = Self(martlet_level_socket, martlet_option_broadcast)
  /// `TCP_NODELAY`: send small segments at once.
  ///
  /// Accepted sockets inherit it.
  public static let noDelay = Self(martlet_level_tcp, martlet_option_no_delay)
  /// `TCP_CORK`: send only full segments until it is taken off.
  public static let cork = Self(martlet_level_tcp, martlet_option_cork)
  /// `TCP_QUICKACK`.
  public static let quickAcknowledge = Self(martlet_level_tcp, martlet_option_quick_ack)
  /// `TCP_KEEPIDLE` in seconds.
  public static let keepAliveIdle = Self(martlet_level_tcp, martlet_option_keep_idle)
  /// `TCP_KEEPINTVL` in seconds.
  public static let keepAliveInterval = Self(martlet_level_tcp, martlet_option_keep_interval)
  /// `TCP_KEEPCNT`.
  public static let keepAliveCount = Self(martlet_level_tcp, martlet_option_keep_count)
  /// `TCP_USER_TIMEOUT` in milliseconds.
  public static let userTimeout = Self(martlet_level_tcp, martlet_option_user_timeout)
  /// `TCP_DEFER_ACCEPT` in seconds: accept only connections that have sent something.
  public static let deferAccept = Self(martlet_level_tcp, martlet_option_defer_accept)
  /// `TCP_FASTOPEN`: how many connections may wait that sent data with their SYN.
  public static let fastOpen = Self(martlet_level_tcp, martlet_option_fast_open)
  /// `IPV6_V6ONLY`.
  public static let ipv6Only = Self(martlet_level_ipv6, martlet_option_ipv6_only)
  /// `IP_BIND_ADDRESS_NO_PORT`: the port of a bound address is chosen when it connects, so that one
  /// port can be used towards several servers.
  public static let bindsLate = Self(martlet_level_ipv4, martlet_option_bind_no_port)
  /// `IP_TRANSPARENT`, `IPV6_TRANSPARENT`: bind an address that is not of this machine.
  public static func transparent(for address: SocketAddress) -> Self {
    if case .ipv6 = address {
      Self(martlet_level_ipv6, martlet_option_transparent_ipv6)
    } else {
      Self(martlet_level_ipv4, martlet_option_transparent)
    }
  }
  /// `SO_ERROR`: the error that waits on the socket, taken by reading it.
  public static let pendingError = Self(martlet_level_socket, martlet_option_error)
  /// `SO_ACCEPTCONN`: whether the socket listens (read only).
  public static let isListening = Self(martlet_level_socket, martlet_option_listening)
}

extension Descriptor {
  /// A stream socket for `address`, not yet bound or connected.
  ///
  /// What it, or what it accepts, sends to this machine itself leaves as it comes: see
  /// ``isPacedUsually``.
  ///
  /// - Throws: ``SystemError`` when the family or a descriptor is not to be had.
  ///   System call: `socket(2)`.
  public static func stream(for address: SocketAddress) throws(SystemError) -> Descriptor {
    let socket = Descriptor(
      adopting: Int32(try check(martlet_socket(address.family, martlet_kind_stream), .socket))
    )
    // It stays as it is where the kernel refuses: nothing but time depends on it.
    if isPacedUsually, address.isOfThisMachine { _ = martlet_unpace(socket.number) }
    return socket
  }

  /// Whether connections of this machine usually spread over time what they send, as BBR does; see
  /// `net.ipv4.tcp_congestion_control` in `tcp(7)`.
  ///
  /// On the way to this machine itself nothing is won by that, and each packet waits for a timer.
  public static let isPacedUsually: Bool = {
    let result = martlet_socket(martlet_family_ipv4, martlet_kind_stream)
    guard result >= 0 else { return false }
    let socket = Descriptor(adopting: Int32(result))
    return isPaced(socket.number)
  }()

  /// Whether what the socket with this number sends is spread over time; those that it accepts are as
  /// it is.
  ///
  /// Socket option: `TCP_CONGESTION`.
  public static func isPaced(_ number: Int32) -> Bool { martlet_is_paced(number) == 1 }

  /// A datagram socket for addresses of `address`' family.
  ///
  /// - Throws: ``SystemError`` as ``stream(for:)``. System call: `socket(2)`.
  public static func datagram(for address: SocketAddress) throws(SystemError) -> Descriptor {
    .init(
      adopting: Int32(try check(martlet_socket(address.family, martlet_kind_datagram), .socket))
    )
  }

  /// A socket for echo requests of ICMP to addresses of `address`' family.
  ///
  /// It is one of the kernel's ping sockets where this process may open one, else a raw socket, which
  /// also hands out the header of IPv4 in front of each datagram.
  ///
  /// - Throws: ``SystemError`` when this process may open neither. System call: `socket(2)`; `icmp(7)`.
  public static func echo(
    for address: SocketAddress
  ) throws(SystemError) -> (descriptor: Int32, isRaw: Bool) {
    let result = martlet_echo_socket(address.family, 0)
    if result >= 0 { return (Int32(result), false) }
    return (Int32(try check(martlet_echo_socket(address.family, 1), .socket)), true)
  }

  /// Binds the socket.
  ///
  /// System call: `bind(2)`.
  ///
  /// - Throws: ``SystemError`` when the address is in use, not ours, or needs a right.
  public borrowing func bind(to address: SocketAddress) throws(SystemError) {
    var form = try address.kernelForm()
    // Safe: the kernel reads `length` bytes of the storage.
    try check(unsafe martlet_bind(number, &form), .bind)
  }

  /// Lets clients connect.
  ///
  /// System call: `listen(2)`.
  ///
  /// - Throws: ``SystemError`` when the socket is not bound.
  public borrowing func listen(backlog: Int32) throws(SystemError) {
    try check(martlet_listen(number, backlog), .listen)
  }

  /// Begins to connect.
  ///
  /// System call: `connect(2)`.
  ///
  /// - Returns: Whether the connection stands; false means that it is under way.
  /// - Throws: ``SystemError`` when it cannot be begun or is refused at once.
  public borrowing func connect(to address: SocketAddress) throws(SystemError) -> Bool {
    var form = try address.kernelForm()
    // Safe: the kernel reads `length` bytes of the storage.
    let result = unsafe martlet_connect(number, &form)
    if result == -Int64(EINPROGRESS) { return false }
    try check(result, .connect)
    return true
  }

  /// Asks whether a connection that was begun stands by now.
  ///
  /// System call: `connect(2)`.
  ///
  /// - Throws: ``SystemError`` when it was refused.
  public borrowing func isConnected(to address: SocketAddress) throws(SystemError) -> Bool {
    var form = try address.kernelForm()
    // Safe: the kernel reads `length` bytes of the storage.
    let result = unsafe martlet_connect(number, &form)
    if result == -Int64(EALREADY) || result == -Int64(EINPROGRESS) { return false }
    if result != -Int64(EISCONN) { try check(result, .connect) }
    return true
  }

  /// Resets the connection, so that the socket can make another one.
  ///
  /// System call: `connect(2)`, `AF_UNSPEC`.
  ///
  /// - Throws: ``SystemError`` when the descriptor is no stream socket.
  public borrowing func disconnect() throws(SystemError) {
    try check(martlet_disconnect(number), .connect)
  }

  /// Makes the close that follows reset the connection.
  ///
  /// System call: `setsockopt(2)`, `SO_LINGER`.
  ///
  /// - Throws: ``SystemError`` when the descriptor is no socket.
  public borrowing func resetOnClose() throws(SystemError) {
    try check(martlet_set_linger(number, 1, 0), .setsockopt)
  }

  /// Sets an option to a number, or to 0 and 1 for off and on.
  ///
  /// System call: `setsockopt(2)`.
  ///
  /// - Throws: ``SystemError`` when the socket does not know the option or the value.
  public borrowing func set(_ option: SocketOption, to value: Int32) throws(SystemError) {
    try option.set(to: value, on: number)
  }

  /// The value of an option.
  ///
  /// System call: `getsockopt(2)`.
  ///
  /// - Throws: ``SystemError`` when the socket does not know the option.
  public borrowing func value(of option: SocketOption) throws(SystemError) -> Int32 {
    try option.value(on: number)
  }

  /// The address the socket is bound to.
  ///
  /// System call: `getsockname(2)`.
  ///
  /// - Throws: ``SystemError`` when the descriptor is no socket.
  public borrowing func localAddress() throws(SystemError) -> SocketAddress {
    try SocketAddress(boundTo: number)
  }

  /// Who is at the other end of a Unix socket.
  ///
  /// Socket option: `SO_PEERCRED`.
  ///
  /// - Throws: ``SystemError`` when the descriptor is no connected Unix socket.
  public borrowing func peerCredentials() throws(SystemError) -> (process: Int32, user: UInt32) {
    var credentials = martlet_credentials()
    // Safe: the shim passes the structure's size.
    try check(unsafe martlet_peer_credentials(number, &credentials), .getsockopt)
    return (credentials.process, credentials.user)
  }

  /// Sends `bytes` together with descriptors; the receiver gets descriptors of its own.
  ///
  /// - Returns: How many bytes were taken; the descriptors go with the first byte.
  /// - Throws: ``SystemError`` when the call fails. System call: `sendmsg(2)`, `SCM_RIGHTS`.
  public borrowing func send(
    _ bytes: Span<UInt8>,
    descriptors: [Int32]
  ) throws(SystemError) -> Int {
    // Safe: span and array outlive the call, which only reads them.
    let result = unsafe bytes.withUnsafeBytes { storage in
      unsafe descriptors.withUnsafeBufferPointer { numbers in
        unsafe martlet_send_descriptors(
          number,
          storage.baseAddress,
          storage.count,
          numbers.baseAddress,
          numbers.count
        )
      }
    }
    return try check(result, .sendmsg)
  }

  /// The most descriptors that one message carries.
  public static let descriptorsAtOnce = Int(martlet_descriptors_at_once)

  /// Receives bytes and the descriptors that came with them, which are the caller's to adopt.
  ///
  /// - Returns: The bytes, empty at the end of the stream, and the numbers of the descriptors.
  /// - Throws: ``SystemError`` when the call fails. System call: `recvmsg(2)`.
  public borrowing func receive(
    upTo count: Int
  ) throws(SystemError) -> (bytes: [UInt8], descriptors: [Int32]) {
    var bytes = [UInt8](repeating: 0, count: count)
    var numbers = [Int32](repeating: -1, count: Self.descriptorsAtOnce)
    var held = 0
    // Safe: the kernel writes no more bytes than asked, the shim no more numbers than the array has.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe numbers.withUnsafeMutableBufferPointer { numbers in
        unsafe martlet_receive_descriptors(
          number,
          storage.baseAddress,
          storage.count,
          numbers.baseAddress,
          &held
        )
      }
    }
    let received = try check(result, .recvmsg)
    return (Array(bytes.prefix(received)), Array(numbers.prefix(held)))
  }

  /// Receives one message of a socket that keeps messages whole, into `bytes` from its beginning.
  ///
  /// What is longer than `bytes` is lost.
  ///
  /// - Returns: How many bytes came, 0 when the other end is closed, and the descriptor that came with
  ///   them, if one did, which is the caller's to close; of several the first.
  /// - Throws: ``SystemError`` when the call fails. System call: `recvmsg(2)`.
  public borrowing func receiveMessage(
    into bytes: inout [UInt8]
  ) throws(SystemError) -> (count: Int, descriptor: Int32?) {
    var first: Int32?
    var held = 0
    // Safe: the kernel writes no more bytes than asked; the numbers are put where there is room for as
    // many as the shim may put there.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: Self.descriptorsAtOnce) {
        found in
        let result = unsafe martlet_receive_descriptors(
          number,
          storage.baseAddress,
          storage.count,
          found.baseAddress,
          &held
        )
        if held > 0 { first = unsafe found[0] }
        for index in 1..<max(1, held) { _ = unsafe martlet_close(found[index]) }
        return result
      }
    }
    return (try check(result, .recvmsg), first)
  }
}
