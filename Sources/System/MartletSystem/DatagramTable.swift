import CLinux

// Invariant of this file: `all` is a table of `count` slots that lives as long as the value; a slot's
// number is checked before the table is asked.

/// One end of a flow of datagrams: a host and a port, made to be compared and hashed.
public struct DatagramEnd: Hashable, Sendable {
  /// The host as two words; an IPv4 host is the second one.
  public let high: UInt64
  /// The second word.
  public let low: UInt64
  /// The interface of a link-local address; 0: none.
  public let scope: UInt32
  /// The port.
  public let port: UInt16
  /// The family as the kernel numbers it; 0: no address is known.
  let family: UInt16

  /// No address.
  public static let none = DatagramEnd(martlet_endpoint())

  init(_ endpoint: martlet_endpoint) {
    high = endpoint.high
    low = endpoint.low
    scope = endpoint.scope
    port = endpoint.port
    family = endpoint.family
  }

  /// Whether an address is known.
  public var isKnown: Bool { family != 0 }

  /// The address.
  public var address: SocketAddress {
    family == UInt16(martlet_family_ipv4)
      ? .ipv4(UInt32(truncatingIfNeeded: low), port: port)
      : .ipv6(high, low, port: port, scope: scope)
  }

  var endpoint: martlet_endpoint {
    martlet_endpoint(high: high, low: low, scope: scope, port: port, family: family)
  }
}

/// Places for datagrams that are received or sent several at a time, one call to the kernel for all.
///
/// A slot keeps what was received in it until it is received into again, so what came from one socket
/// can go out by another without being copied.
@safe
public struct DatagramTable: ~Copyable {
  private let all: OpaquePointer
  /// How many slots there are.
  public let count: Int

  /// The largest datagram, and the size of a slot.
  public static let slotBytes = 65_536

  /// Makes a table of `count` slots; memory is taken when datagrams need it.
  ///
  /// - Throws: ``SystemError`` when there is no memory. System call: `mmap(2)`.
  public init(count: Int) throws(SystemError) {
    precondition((1...1024).contains(count), "a table has 1 to 1024 slots")
    guard let all = unsafe martlet_datagrams_create(Int32(count), Self.slotBytes) else {
      throw SystemError(.mmap, ENOMEM)
    }
    unsafe self.all = all
    self.count = count
  }

  deinit { unsafe martlet_datagrams_destroy(all) }

  private func checked(_ slot: Int) -> Int32 {
    precondition(slot >= 0 && slot < count, "there is no such slot")
    return Int32(slot)
  }

  private func check(_ slots: Range<Int>) {
    precondition(slots.lowerBound >= 0 && slots.upperBound <= count, "there are no such slots")
  }

  /// Receives what is there, at most one datagram for each of `slots`, without waiting.
  ///
  /// - Parameters:
  ///   - descriptor: The socket.
  ///   - slots: Where the datagrams go, the first one first.
  ///   - isConnected: Whether the socket is connected, so that nobody need ask who has sent.
  /// - Returns: How many there were, or the kernel's error, negative. System call: `recvmmsg(2)`.
  public mutating func receive(
    from descriptor: Int32,
    into slots: Range<Int>,
    isConnected: Bool
  ) -> Int {
    check(slots)
    // Safe: the slots are the table's, and nobody else touches it during the call.
    return Int(
      unsafe martlet_datagrams_receive(
        all,
        descriptor,
        Int32(slots.lowerBound),
        Int32(slots.count),
        isConnected ? 1 : 0
      )
    )
  }

  /// Receives one datagram over a connected socket, without waiting: cheaper than a row of one.
  ///
  /// - Returns: Its length, or the kernel's error, negative. System call: `recv(2)`.
  public mutating func receive(from descriptor: Int32, into slot: Int) -> Int {
    // Safe: the slot is the table's, and nobody else touches it during the call.
    Int(unsafe martlet_datagrams_receive_one(all, descriptor, checked(slot)))
  }

  /// How long the datagram in a slot is.
  public func length(of slot: Int) -> Int {
    // Safe: see the invariant.
    unsafe martlet_datagrams_length(all, checked(slot))
  }

  /// The bytes of the datagram in a slot.
  public func bytes(of slot: Int) -> [UInt8] {
    let slot = checked(slot)
    // Safe: `length` bytes of the slot were received; they are copied at once.
    return unsafe Array(
      UnsafeBufferPointer(
        start: martlet_datagrams_bytes(all, slot),
        count: martlet_datagrams_length(all, slot)
      )
    )
  }

  /// Who has sent the datagram in a slot.
  public func sender(of slot: Int) -> DatagramEnd {
    var endpoint = martlet_endpoint()
    // Safe: the shim writes only `endpoint`.
    unsafe martlet_datagrams_peer(all, checked(slot), &endpoint)
    return DatagramEnd(endpoint)
  }

  /// At which of our addresses the datagram in a slot arrived, if the socket tells that.
  public func arrival(of slot: Int) -> DatagramEnd {
    var endpoint = martlet_endpoint()
    // Safe: the shim writes only `endpoint`.
    unsafe martlet_datagrams_arrival(all, checked(slot), &endpoint)
    return DatagramEnd(endpoint)
  }

  /// Says where the datagram in a slot is to go, and from which of our addresses if `source` is known.
  public mutating func address(_ slot: Int, to target: DatagramEnd, from source: DatagramEnd) {
    var to = target.endpoint
    var from = source.endpoint
    // Safe: the shim reads both, and writes only the slot's own header.
    unsafe martlet_datagrams_address(all, checked(slot), &to, &from)
  }

  /// Sends the datagram in a slot over a connected socket, without waiting.
  ///
  /// - Returns: Its length, or the kernel's error, negative. System call: `send(2)`.
  public func send(_ slot: Int, over descriptor: Int32) -> Int {
    // Safe: the kernel reads what the slot holds.
    Int(unsafe martlet_datagrams_send_one(all, descriptor, checked(slot)))
  }

  /// Sends the datagrams in `slots` to where each is addressed, without waiting.
  ///
  /// - Returns: How many the kernel took, or its error about the first one, negative.
  ///   System call: `sendmmsg(2)`.
  public mutating func send(_ slots: Range<Int>, over descriptor: Int32) -> Int {
    check(slots)
    // Safe: the kernel reads what the slots hold.
    return Int(
      unsafe martlet_datagrams_send(
        all,
        descriptor,
        Int32(slots.lowerBound),
        Int32(slots.count)
      )
    )
  }
}

extension Descriptor {
  /// Has a datagram socket tell at which of our addresses each datagram arrived; see
  /// ``DatagramTable/arrival(of:)``.
  ///
  /// Socket options: `IP_PKTINFO`, `IPV6_RECVPKTINFO`.
  ///
  /// - Throws: ``SystemError`` when the socket does not know the option.
  public borrowing func tellArrival() throws(SystemError) {
    let family = try localAddress().family
    try MartletSystem.check(martlet_tell_arrival(number, family), .setsockopt)
  }
}
