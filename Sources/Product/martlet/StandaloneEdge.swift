import CLinux
import Configuration
import Directives
import Edge
import MartletLoop
import MartletNet
import MartletSystem

/// The edge in one process, without a supervisor.
struct StandaloneEdge {
  let configuration: EdgeConfiguration

  /// Serves until the process is ended.
  ///
  /// - Throws: ``Failure`` when an address cannot be listened on.
  func run() throws {
    let sockets = NamedDescriptors()
    for address in configuration.listeningAddresses {
      do throws(SystemError) {
        let place = SocketAddress(listening: address, stateDirectory: "/tmp")
        sockets.insert(try Listener.bind(place), for: address.description)
      } catch {
        throw Failure(.cannotListen, "cannot listen on \(address): \(error)")
      }
    }
    let loop = try EventLoop()
    let generation = try Generation(configuration, number: 1, stateDirectory: "/tmp")
    let server = try EdgeServer(
      loopCount: configuration.process.loopCount ?? Int(martlet_available_processors()),
      generation: generation
    )
    Task {
      await loop.perform {
        do {
          try await server.publish(generation, sockets: sockets)
        } catch {
          Console.complain("martlet: \(error)")
          loop.stop()
        }
      }
    }
    loop.run()
  }
}

extension SocketAddress {
  /// Where a configured address is listened on.
  init(listening address: Address, stateDirectory: String) {
    switch address {
    case .any(let port): self = .ipv6(0, 0, port: port, scope: 0)
    case .ip(.ipv4(let host), let port): self = .ipv4(host, port: port)
    case .ip(.ipv6(let high, let low), let port): self = .ipv6(high, low, port: port, scope: 0)
    case .name(let name, let port): self = SocketAddress(host: name, port: port) ?? .unix("")
    case .unix: self = .unix(address.unixPath(in: stateDirectory) ?? "")
    }
  }
}
