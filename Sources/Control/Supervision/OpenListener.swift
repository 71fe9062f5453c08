public import MartletSystem

/// Listening sockets of one address of the configuration.
struct OpenListener {
  /// The address as the configuration writes it.
  var key: String
  /// The sockets, most often one.
  var files: [OpenFile]
  /// The path to remove when it is closed for good.
  var unixPath: String?

  /// Opens what is demanded; what is open already under the same key is taken over.
  ///
  /// - Throws: ``CommandFailure`` with the address, the reason and the mend; nothing is open then
  ///   that was not before.
  static func open(
    _ demands: [ListenerDemand],
    reusing open: [OpenListener]
  ) throws(CommandFailure) -> [OpenListener] {
    var listeners: [OpenListener] = []
    for demand in demands {
      if let same = open.first(where: { $0.key == demand.key }) {
        same.share(demand)
        listeners.append(same)
      } else {
        listeners.append(try OpenListener(demand, beside: open.flatMap(\.files)))
      }
    }
    return listeners
  }

  /// Lets others listen here too, or nobody else any more.
  private func share(_ demand: ListenerDemand) {
    guard demand.datagrams == nil else { return }
    if case .at(.unix) = demand.place { return }
    for file in files {
      do throws(SystemError) {
        try file.descriptor.set(.reusePort, to: demand.sharesPort ? 1 : 0)
      } catch {
        // A socket that listens knows the option; if not, it listens for itself.
        continue
      }
    }
  }

  private init(_ demand: ListenerDemand, beside own: [OpenFile]) throws(CommandFailure) {
    key = demand.key
    if let sharing = demand.datagrams {
      files = [try Self.receive(demand, sharing)]
      return
    }
    switch demand.place {
    case .at(let address):
      files = [try Self.listen(address, demand, beside: own)]
      if case .unix(let path) = address, !path.hasPrefix("@") { unixPath = path }
    case .anywhere(let port):
      do throws(SystemError) {
        // One socket for both families.
        let address = SocketAddress.ipv6(0, 0, port: port, scope: 0)
        files = [try Self.bound(address, isDual: true, demand, beside: own)]
      } catch {
        // Without IPv6 in the kernel, IPv4 is everything.
        guard error.code == 97 || error.code == 99 else {
          throw Self.failure(.ipv6(0, 0, port: port, scope: 0), demand.key, error)
        }
        files = [try Self.listen(.ipv4(0, port: port), demand, beside: own)]
      }
    }
  }

  init(key: String, files: [OpenFile], unixPath: String?) {
    self.key = key
    self.files = files
    self.unixPath = unixPath
  }

  /// Opens a socket for datagrams.
  private static func receive(
    _ demand: ListenerDemand,
    _ sharing: ListenerDemand.Sharing
  ) throws(CommandFailure) -> OpenFile {
    let place: SocketAddress
    switch demand.place {
    case .at(let address): place = address
    case .anywhere(let port): place = .ipv6(0, 0, port: port, scope: 0)
    }
    let isDual = demand.place != .at(place)
    do throws(SystemError) {
      return try datagrams(place, isDual: isDual, sharing)
    } catch {
      // Without IPv6 in the kernel, IPv4 is everything.
      guard isDual, error.code == 97 || error.code == 99 else {
        throw failure(place, demand.key, error)
      }
    }
    do throws(SystemError) {
      return try datagrams(.ipv4(0, port: place.port ?? 0), isDual: false, sharing)
    } catch {
      throw failure(place, demand.key, error)
    }
  }

  private static func datagrams(
    _ address: SocketAddress,
    isDual: Bool,
    _ sharing: ListenerDemand.Sharing
  ) throws(SystemError) -> OpenFile {
    func bound(shares: Bool) throws(SystemError) -> OpenFile {
      let file = OpenFile(try Descriptor.datagram(for: address))
      if case .ipv6 = address { try file.descriptor.set(.ipv6Only, to: isDual ? 0 : 1) }
      if shares { try file.descriptor.set(.reusePort, to: 1) }
      try file.descriptor.bind(to: address)
      return file
    }
    // Sockets that share an address share it with whoever asks: first it must be free.
    if sharing == .first { _ = try bound(shares: false) }
    return try bound(shares: true)
  }

  private static func listen(
    _ address: SocketAddress,
    _ demand: ListenerDemand,
    beside own: [OpenFile]
  ) throws(CommandFailure) -> OpenFile {
    do throws(SystemError) {
      return try bound(address, isDual: false, demand, beside: own)
    } catch {
      guard error.code == 98, case .unix(let path) = address, isAbandoned(address) else {
        throw failure(address, demand.key, error)
      }
      // The socket of a process that is gone.
      do throws(SystemError) {
        try Files.remove(path)
        return try bound(address, isDual: false, demand, beside: [])
      } catch {
        throw failure(address, demand.key, error)
      }
    }
  }

  /// Opens a socket, if need be on the port of one of `own`, which it is to replace.
  private static func bound(
    _ address: SocketAddress,
    isDual: Bool,
    _ demand: ListenerDemand,
    beside own: [OpenFile]
  ) throws(SystemError) -> OpenFile {
    let backlog = demand.backlog
    do throws(SystemError) {
      return try bound(address, isDual: isDual, backlog, sharesPort: demand.sharesPort)
    } catch {
      let rivals = own.filter { port(of: $0) == address.port }
      guard error.code == 98, address.port != nil, !rivals.isEmpty else { throw error }
      // A socket for all addresses of a port and one for a single address stand in each other's way
      // unless both say, for this moment, that they share the port.
      var before: [Int32] = []
      for rival in rivals {
        before.append(try rival.descriptor.value(of: .reusePort))
        try rival.descriptor.set(.reusePort, to: 1)
      }
      let outcome = Result { () throws(SystemError) in
        try bound(address, isDual: isDual, backlog, sharesPort: true)
      }
      for (rival, value) in zip(rivals, before) {
        try rival.descriptor.set(.reusePort, to: value)
      }
      let file = try outcome.get()
      try file.descriptor.set(.reusePort, to: demand.sharesPort ? 1 : 0)
      return file
    }
  }

  private static func port(of file: OpenFile) -> UInt16? {
    do throws(SystemError) { return try file.descriptor.localAddress().port } catch { return nil }
  }

  private static func bound(
    _ address: SocketAddress,
    isDual: Bool,
    _ backlog: Int32,
    sharesPort: Bool
  ) throws(SystemError) -> OpenFile {
    let file = OpenFile(try Descriptor.stream(for: address))
    if address.port != nil {
      try file.descriptor.set(.reuseAddress, to: 1)
      // Accepted sockets inherit it.
      try file.descriptor.set(.noDelay, to: 1)
      if sharesPort { try file.descriptor.set(.reusePort, to: 1) }
      if case .ipv6 = address { try file.descriptor.set(.ipv6Only, to: isDual ? 0 : 1) }
    }
    try file.descriptor.bind(to: address)
    try file.descriptor.listen(backlog: backlog)
    return file
  }

  /// Whether nobody listens at a Unix socket any more.
  private static func isAbandoned(_ address: SocketAddress) -> Bool {
    do throws(SystemError) {
      _ = try Descriptor.stream(for: address).connect(to: address)
      return false
    } catch {
      return error.code == 111
    }
  }

  private static func failure(
    _ address: SocketAddress,
    _ key: String,
    _ error: SystemError
  ) -> CommandFailure {
    let place = "cannot listen on \(key): "
    switch error.code {
    case 98:
      let holder = PortHolder.find(address)
        .map { "by \($0.name) (process \($0.process)): end it" }
      return CommandFailure(
        .cannotListen,
        place + "the address is in use " + (holder ?? "by another process: end that")
          + ", or listen on another port"
      )
    case 1, 13:
      let mend =
        if let port = address.port, port < 1024 {
          "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE: start as root, or "
            + "listen on another port"
        } else {
          "this user may not: \(error)"
        }
      return CommandFailure(.noRight, place + mend)
    case 99:
      return CommandFailure(
        .cannotListen,
        place + "this machine does not have the address: `ip address` lists those it has"
      )
    default: return CommandFailure(.cannotListen, place + "\(error)")
    }
  }
}

/// An open log file.
struct OpenLog {
  var key: String
  var path: String
  var file: OpenFile

  /// Opens log files; those that are open already are taken over unless they are to be opened anew.
  ///
  /// - Throws: ``CommandFailure`` with the file and the reason.
  static func open(
    _ demands: [LogDemand],
    reusing open: [OpenLog] = []
  ) throws(CommandFailure) -> [OpenLog] {
    var logs: [OpenLog] = []
    for demand in demands {
      let path = demand.path
      if let same = open.first(where: { $0.key == demand.key && $0.path == path }) {
        logs.append(same)
        continue
      }
      do throws(SystemError) {
        let file = OpenFile(try Descriptor.open(path, demand.isSecret ? .appendSecret : .append))
        logs.append(OpenLog(key: demand.key, path: path, file: file))
      } catch {
        throw CommandFailure(
          error.isAboutRights ? .noRight : .failure,
          "cannot open the log file \(path): \(error)"
        )
      }
    }
    return logs
  }
}

extension Assignment {
  /// Opens the listening sockets, for a process that serves without a supervisor.
  ///
  /// - Returns: The sockets with the keys of their listeners.
  /// - Throws: ``CommandFailure`` with the address, the reason and the mend.
  public func openSockets() throws(CommandFailure) -> [(key: String, file: OpenFile)] {
    try OpenListener.open(listeners, reusing: []).flatMap { listener in
      listener.files.map { (listener.key, $0) }
    }
  }

  /// Opens the log files, for a process that serves without a supervisor.
  ///
  /// - Returns: The files with their keys.
  /// - Throws: ``CommandFailure`` with the file and the reason.
  public func openLogs() throws(CommandFailure) -> [(key: String, file: OpenFile)] {
    try OpenLog.open(logs).map { ($0.key, $0.file) }
  }
}
