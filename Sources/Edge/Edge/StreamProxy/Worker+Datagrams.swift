import Configuration
import MartletLoop
import MartletSystem
import MartletTelemetry

/// The listeners for datagrams of one loop, and their flows.
extension Worker {
  /// Receives at the addresses of a generation, and no longer at others.
  ///
  /// Each loop has a socket of its own for each address. Should there be more sockets than loops, since
  /// another number of loops waits for the next start, some loops have several: a socket that nobody
  /// reads would swallow its share of the clients.
  ///
  /// - Throws: ``SystemError`` when a socket cannot be watched.
  func publishDatagrams(
    _ generation: Generation,
    sockets: NamedDescriptors
  ) throws(SystemError) {
    var present: Set<String> = []
    for plan in generation.datagrams {
      var number = index
      while true {
        let key = UDPSettings.key(of: plan.address, loop: number)
        if let listener = datagramListeners[key] {
          listener.plan = plan
        } else if let socket = try sockets.duplicate(of: key) {
          try receive(plan, socket, key)
        } else {
          break
        }
        present.insert(key)
        number += loopCount
      }
    }
    for (key, listener) in datagramListeners where !present.contains(key) {
      listener.close()
      listener.endFlows(.drained)
      datagramListeners[key] = nil
    }
  }

  private func receive(
    _ plan: UDPPlan,
    _ socket: consuming Descriptor,
    _ key: String
  ) throws(SystemError) {
    if datagrams == nil {
      let tables = try UDPTables(on: loop)
      datagrams = tables
      loop.spawn(named: "end flows in time") { await tables.run() }
    }
    let listener = try UDPListener(plan, socket: socket, worker: self)
    datagramListeners[key] = listener
    loop.spawn(named: "receive datagrams") { await listener.run() }
  }

  /// Keeps a flow until it is over, to be found by its descriptor.
  func attend(_ flow: UDPFlow) {
    let number = Int(flow.descriptor)
    while flows.count <= number { flows.append(nil) }
    flows[number] = flow
  }

  /// The flow with this descriptor.
  func flow(of descriptor: Int32) -> UDPFlow? {
    let index = Int(descriptor)
    return index < flows.count ? flows[index] : nil
  }

  /// Lets go of the flow with this descriptor.
  func forgetFlow(of descriptor: Int32) { flows[Int(descriptor)] = nil }
}
