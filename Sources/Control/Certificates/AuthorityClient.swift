import ACME
import Edge
import MartletLoop
import MartletNet
import MartletSystem
import TLS

/// Asks an authority over HTTPS, or its responder over HTTP, one connection for each request.
///
/// That costs a handshake for each of the ten requests of an order, once in two months, and saves all
/// thought about connections that end meanwhile.
final class AuthorityClient {
  private static let timeout = Timeout(.seconds(30))

  private let loop: EventLoop
  private let context: TLSContext
  /// For servers that prove a name, whose certificates nobody vouches for.
  private let provingContext: TLSContext
  private let threads: BlockingPool
  private let clock: () -> Int64

  /// Creates a client.
  ///
  /// - Parameters:
  ///   - loop: Where it runs.
  ///   - trust: The certificates by which the authority is believed; nil: those of the system.
  ///   - threads: Where the name service is asked.
  ///   - clock: The seconds since 1970.
  /// - Throws: ``TLS/TLSError``.
  init(
    on loop: EventLoop,
    trust: [UInt8]?,
    threads: BlockingPool,
    clock: @escaping () -> Int64
  ) throws(TLSError) {
    self.loop = loop
    self.threads = threads
    self.clock = clock
    let authorities =
      if let trust { try TLSAuthorities(pem: trust) } else { try TLSAuthorities(ofSystem: ()) }
    context = try TLSContext(
      clientBelieving: authorities,
      policy: .intermediate,
      protocols: ["http/1.1"]
    )
    provingContext = try TLSContext(
      clientBelieving: nil,
      policy: .intermediate,
      protocols: [Self.proof]
    )
  }

  /// RFC 8737, section 6.2.
  private static let proof = "acme-tls/1"

  /// Whether the server of a name, or of an address, shows the proof with this digest over TLS.
  ///
  /// - Throws: ``ACME/ACMEFailure``: it cannot be reached, or speaks no TLS.
  func shows(
    _ digest: [UInt8],
    for name: String,
    port: Int
  ) async throws(ACMEFailure) -> Bool {
    guard let place = WebPlace("https://\(name):\(port)/") else {
      throw ACMEFailure(.malformed, "\(name) is no name that can be asked")
    }
    let deadline = loop.deadline(after: Self.timeout)
    let stream = try await connect(to: place, by: deadline)
    do throws(TLSError) {
      // RFC 8738, section 6: an address is asked for by the name of its reverse record.
      let asked =
        place.isAddress
        ? name.split(separator: ".").reversed().joined(separator: ".") + ".in-addr.arpa" : name
      let session = try TLSSession(
        provingContext,
        socket: stream.descriptor,
        to: TLSServerName(asked: asked, verified: nil)
      )
      try await Self.secure(session, stream, on: loop, by: deadline)
      return session.protocolName == Self.proof
        && session.showsProof(digest, for: name, isAddress: place.isAddress)
    } catch {
      throw ACMEFailure(.unreachable, "\(place.authority): \(error)")
    }
  }

  /// The answer to a request.
  ///
  /// - Throws: ``ACME/ACMEFailure``.
  func answer(to request: ACMERequest) async throws(ACMEFailure) -> ACMEAnswer {
    guard let place = WebPlace(request.url), place.isSecure else {
      throw ACMEFailure(.malformed, "\(request.url) is no URL that can be asked")
    }
    return try await answer(to: request, at: place, contentType: "application/jose+json")
  }

  /// The answer to a question that is sent to a URL of `http` or `https`; it says itself who has given it.
  ///
  /// - Throws: ``ACME/ACMEFailure``.
  func answer(
    from url: String,
    to question: [UInt8],
    contentType: String
  ) async throws(ACMEFailure) -> ACMEAnswer {
    guard let place = WebPlace(url) else {
      throw ACMEFailure(.malformed, "\(url) is no URL that can be asked")
    }
    let request = ACMERequest(.post, url, body: question)
    return try await answer(to: request, at: place, contentType: contentType)
  }

  /// The answer to a request for what is at a URL of `http` or `https`.
  ///
  /// - Throws: ``ACME/ACMEFailure``.
  func answer(from url: String) async throws(ACMEFailure) -> ACMEAnswer {
    guard let place = WebPlace(url) else {
      throw ACMEFailure(.malformed, "\(url) is no URL that can be asked")
    }
    return try await answer(to: ACMERequest(.get, url), at: place, contentType: "")
  }

  private func answer(
    to request: ACMERequest,
    at place: WebPlace,
    contentType: String
  ) async throws(ACMEFailure) -> ACMEAnswer {
    let deadline = loop.deadline(after: Self.timeout)
    let stream = try await connect(to: place, by: deadline)
    if place.isSecure {
      do throws(TLSError) {
        let name = TLSServerName(
          asked: place.isAddress ? nil : place.host,
          verified: place.host,
          isAddress: place.isAddress
        )
        let session = try TLSSession(context, socket: stream.descriptor, to: name)
        try await Self.secure(session, stream, on: loop, by: deadline)
      } catch {
        throw ACMEFailure(.unreachable, "\(place.authority): \(error)")
      }
    }
    return try await exchange(request, contentType, place, stream, by: deadline)
  }

  private static func secure(
    _ session: TLSSession,
    _ stream: MartletNet.Stream,
    on loop: EventLoop,
    by deadline: Deadline
  ) async throws(TLSError) {
    do throws(TLSHandshakeError) {
      try await session.begin(on: stream, loop, by: deadline)
    } catch {
      switch error {
      case .ended: throw TLSError("no TLS in time")
      case .failed(let failure): throw TLSError(failure.words)
      }
    }
  }

  private func connect(
    to place: WebPlace,
    by deadline: Deadline
  ) async throws(ACMEFailure) -> MartletNet.Stream {
    let (host, port) = (place.host, place.port)
    let addresses: [SocketAddress]
    do {
      addresses = try await threads.run(on: loop, by: deadline) {
        Result { () throws(ResolutionError) in try SocketAddress.resolve(host, port: port) }
      }.get()
    } catch {
      throw ACMEFailure(.unreachable, "\(place.authority): \(error)")
    }
    var problem = "the name has no address"
    for address in addresses.prefix(8) {
      do throws(StreamError) {
        return try await MartletNet.Stream.connect(to: address, on: loop, by: deadline)
      } catch {
        problem = "\(address): \(error)"
      }
    }
    throw ACMEFailure(.unreachable, "\(place.authority): \(problem)")
  }

  private func exchange(
    _ request: ACMERequest,
    _ contentType: String,
    _ place: WebPlace,
    _ stream: MartletNet.Stream,
    by deadline: Deadline
  ) async throws(ACMEFailure) -> ACMEAnswer {
    var lines = [
      "\(request.method.rawValue) \(place.target) HTTP/1.1", "Host: \(place.authority)",
      "User-Agent: martlet", "Connection: close",
    ]
    if request.method == .post {
      lines += ["Content-Type: \(contentType)", "Content-Length: \(request.body.count)"]
    }
    let head = Array((lines + ["", ""]).joined(separator: "\r\n").utf8)
    var reader = ACMEAnswerReader(request.method, now: clock())
    do {
      try await stream.write(head + request.body, by: deadline)
      while true {
        let part = try await stream.read(.body, by: deadline)
        if part.isEmpty { return try reader.end() }
        if let answer = try reader.receive(part.bytes) { return answer }
      }
    } catch let failure as ACMEFailure {
      throw failure
    } catch {
      throw ACMEFailure(.unreachable, "\(place.authority): \(error)")
    }
  }
}

/// Where something is asked over HTTP.
public struct WebPlace: Hashable, Sendable {
  /// Whether that is done over TLS.
  public let isSecure: Bool
  /// The host, without brackets.
  public let host: String
  /// Whether that is an address.
  public let isAddress: Bool
  /// The port.
  public let port: UInt16
  /// The host and the port as the URL writes them.
  public let authority: String
  /// The path and the query.
  public let target: String

  /// Takes a URL apart; nil for one that is none of `https` or `http`.
  public init?(_ url: String) {
    isSecure = url.hasPrefix("https://")
    guard isSecure || url.hasPrefix("http://"),
      url.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { return nil }
    let rest = url.dropFirst(isSecure ? "https://".count : "http://".count)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    authority = String(rest[..<end])
    let path = rest[end...].prefix { $0 != "#" }
    target = path.hasPrefix("/") ? String(path) : "/\(path)"
    var host = Substring(authority)
    var port: UInt16 = isSecure ? 443 : 80
    if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
      guard let number = UInt16(host[host.index(after: colon)...]), number > 0 else { return nil }
      port = number
      host = host[..<colon]
    }
    self.port = port
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    self.host = isBracketed ? String(host.dropFirst().dropLast()) : String(host)
    isAddress = isBracketed || host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    guard !self.host.isEmpty, !authority.contains("@") else { return nil }
  }
}
