import Certificates
import Directives
import Edge
import MartletLoop
import MartletNet
import MartletSystem
import Supervision
import TLS

/// Opens connections to the places that URLs name, over TLS where these say so.
final class WebConnector {
  private let loop: EventLoop
  /// Where it connects to; nil: to the host of each URL.
  private let place: Address?
  private let threads: BlockingPool
  private let context: TLSContext

  /// Creates one; certificates are verified unless somebody has named the place.
  init(on loop: EventLoop, place: Address?) throws(CommandFailure) {
    self.loop = loop
    self.place = place
    do {
      threads = try BlockingPool(threadLimit: 4, queueLimit: 1024)
      // What comes over a connection whose place somebody has named is not used for anything.
      let authorities = place == nil ? try TLSAuthorities(ofSystem: ()) : nil
      context = try TLSContext(
        clientBelieving: authorities,
        policy: .intermediate,
        protocols: ["http/1.1"]
      )
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }

  /// A connection to where a URL leads, ready for HTTP/1.1.
  func connect(to url: WebPlace, by deadline: Deadline) async throws -> MartletNet.Stream {
    let stream = try await open(url, by: deadline)
    guard url.isSecure else { return stream }
    let name = TLSServerName(
      asked: url.isAddress ? nil : url.host,
      verified: place == nil ? url.host : nil,
      isAddress: url.isAddress
    )
    let session = try TLSSession(context, socket: stream.descriptor, to: name)
    try await session.begin(on: stream, loop, by: deadline)
    return stream
  }

  private func open(_ url: WebPlace, by deadline: Deadline) async throws -> MartletNet.Stream {
    var (host, port) = (url.host, url.port)
    switch place {
    case .unix(let path)?:
      return try await MartletNet.Stream.connect(to: .unix(path), on: loop, by: deadline)
    case .any(let own)?: (host, port) = ("127.0.0.1", own)
    case .ip(let address, let own)?: (host, port) = ("\(address)", own)
    case .name(let name, let own)?: (host, port) = (name, own)
    case nil: break
    }
    let (name, number) = (host, port)
    let addresses = try await threads.run(on: loop, by: deadline) {
      Result { () throws(ResolutionError) in try SocketAddress.resolve(name, port: number) }
    }.get()
    var problem: any Error = CommandFailure(.failure, "the name \(host) has no address")
    for address in addresses.prefix(8) {
      do {
        return try await MartletNet.Stream.connect(to: address, on: loop, by: deadline)
      } catch {
        problem = error
      }
    }
    throw problem
  }
}
