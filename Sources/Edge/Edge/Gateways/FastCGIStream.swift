import GatewayProtocols
import MartletBytes
import MartletLoop
import MartletNet

/// A request on a connection to an application that others share, as the other end of an inner socket: what is
/// written there is the request in the application's form, and what is read there is the answer.
final class FastCGIStream: SharedStream, CarriedStream {
  private let connection: FastCGIConnection
  private let exchange: GatewayExchange
  /// Whether its request has been sent, and its answer has not ended.
  private(set) var isUnderWay = false
  /// Whether it was sent more than there was room for.
  var waitsForRoom = false
  var isTouched = false
  /// How much of the answer is held, as far as the connection knows.
  private(set) var heldBytes = 0
  /// The beginning of a request, as long as it is not whole.
  private var head: [UInt8] = []
  /// Whether it has a number.
  private var hasNumber = false
  private var isBroken = false
  private var isClosed = false

  init(on connection: FastCGIConnection, _ exchange: GatewayExchange) {
    self.connection = connection
    self.exchange = exchange
  }

  override var gateway: GatewayExchange? { exchange }

  private var loop: EventLoop { connection.loop }

  override func prepare() {
    head = []
    wasRefused = false
    hasReserved = true
    exchange.number = connection.takeNumber(for: self)
    hasNumber = true
    loop.clearReadiness(descriptor)
  }

  override func giveBack(_ socket: UpstreamConnection) { connection.giveBack(socket) }

  override func comesFree() -> Bool { !isBroken && !hasNumber && exchange.isReady }

  // MARK: From the application

  func take(_ event: FastCGIDecoder.Event, of bytes: Span<UInt8>) {
    let isGood = exchange.take(event, of: bytes)
    if case .end = event { (isUnderWay, hasNumber) = (false, false) }
    guard !isGood else { return }
    isBroken = true
    if isUnderWay { leave() }
  }

  /// Takes what is wrong with the connection.
  func fail(_ fault: GatewayFault) {
    exchange.note(fault)
    isBroken = true
  }

  /// Takes that the application has not looked at the request.
  func refuse() {
    (isUnderWay, hasNumber) = (false, false)
    wasRefused = true
    isBroken = true
  }

  /// Gives the request up, whose client takes too little of the answer.
  func giveUp() {
    isBroken = true
    if isUnderWay { leave() }
    exchange.giveUp()
    signal()
  }

  /// Tells whoever waits for the answer that the connection is gone.
  func breakOff() {
    (isUnderWay, hasNumber) = (false, false)
    // What has come whole can still be read.
    guard !exchange.answer.hasEnded || hasReserved else { return }
    isBroken = true
    signal()
  }

  /// Leaves the request to the application, which is to end it.
  private func leave() {
    (isUnderWay, hasNumber) = (false, false)
    connection.abort(exchange.number)
  }

  func signal() {
    guard !isClosed else { return }
    exchange.settle()
    noteHeld()
    if isBroken { loop.signalClose(descriptor) } else { loop.signalInput(descriptor) }
  }

  private func noteHeld() { noteHeld(exchange.answer.outputCount) }

  private func noteHeld(_ count: Int) {
    let change = count - heldBytes
    guard change != 0 else { return }
    heldBytes = count
    connection.noteHeld(of: self, change: change)
  }

  // MARK: The inner socket

  override var hasInput: Bool { isBroken || exchange.answer.hasOutput }

  override func receive(upTo limit: Int, _ take: (Span<UInt8>) -> Void) -> InnerInput {
    let count = exchange.answer.read(upTo: limit, take)
    if count > 0 { noteHeld() }
    return isBroken && count < limit ? .ended : .open
  }

  override func send(_ bytes: Span<UInt8>) -> Int? {
    guard !isBroken else { return nil }
    var offset = 0
    if hasReserved {
      offset = min(bytes.count, exchange.plainCount - head.count)
      head.append(copying: bytes.extracting(0..<offset))
      guard head.count == exchange.plainCount else { return offset }
      hasReserved = false
      guard connection.begin(head) else {
        // Nothing of it has left.
        wasRefused = true
        isBroken = true
        return nil
      }
      head = []
      isUnderWay = true
    }
    // The answer is whole: the application wants no more of the request.
    guard isUnderWay else { return offset == 0 ? nil : offset }
    while offset < bytes.count {
      let count = min(bytes.count - offset, connection.room)
      guard count > 0 else {
        waitsForRoom = true
        connection.hasWaiters = true
        break
      }
      let frame = exchange.frame(of: count)
      let end = offset + frame.contentCount
      connection.send(frame, around: bytes.extracting(offset..<end))
      offset = end
    }
    return offset
  }

  override func willBreak() { isBroken = true }

  override func close() {
    isClosed = true
    isBroken = true
    noteHeld(0)
    connection.forget(self)
    guard hasNumber else { return }
    if isUnderWay { leave() } else { connection.giveBack(exchange.number) }
  }
}
