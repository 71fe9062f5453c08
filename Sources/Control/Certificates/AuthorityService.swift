import ACME
import Configuration
import Directives
import Edge
import MartletLoop
import MartletSystem
import Synchronization
import TLS

/// The authority of this machine as it serves others: it is asked on the loops that serve requests, and looks at
/// names on its own.
///
/// A name is believed to be a client's when its server answers over HTTP or TLS what it is asked, or when a record
/// of the name says so; only names that no other authority can vouch for are looked at, so that nothing on the
/// net is asked for anybody.
final class AuthorityService: Sendable {
  /// How many names are looked at once, and how many may wait for that.
  private static let lookCount = 8
  private static let waitingCount = 256
  /// How often a server is asked that does not answer as it should, and the pause before that.
  private static let tryCount = 3
  private static let pause = Duration.seconds(2)
  /// How long nothing is looked for where a signal was missed.
  private static let rest = Timeout(.seconds(1))

  let state: Mutex<ACMEAuthority>
  let clock: @Sendable () -> Int64
  let authority: LocalAuthority
  let storage: CertificateStorage
  let threads: BlockingPool
  /// The list of what was revoked, as it was told last.
  let list = Mutex<ToldList?>(nil)
  /// What those are told who ask about one certificate.
  let statuses = Mutex(KnownStatuses())
  let counts: AuthorityCounts
  private let events = Events()

  /// What others are to know, until somebody tells it.
  final class Events: Sendable {
    private static let count = 256
    private let all = Mutex<[CertificateEvent]>([])

    func add(_ text: String) {
      all.withLock { all in
        if all.count < Self.count { all.append(CertificateEvent(.noted, "local authority", text)) }
      }
    }

    func take() -> [CertificateEvent] {
      all.withLock { all in
        defer { all = [] }
        return all
      }
    }
  }

  /// Creates the service of an authority; it is asked in vain for names that it does not permit.
  init(
    _ authority: LocalAuthority,
    _ storage: CertificateStorage,
    _ threads: BlockingPool,
    _ counts: AuthorityCounts,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.clock = clock
    self.counts = counts
    self.authority = authority
    self.storage = storage
    self.threads = threads
    let permitted = authority.permitted
    let events = events
    let secret = (0..<32).map { _ in UInt8.random(in: 0...255) }
    state = Mutex(
      ACMEAuthority(
        ACMEAuthorityTools(
          verify: { key, bytes, signature in
            switch key {
            case .point(let x, let y):
              TLSSignature.isGood(signature, of: bytes, x: x, y: y)
            case .modulus(let n, let e):
              TLSSignature.isGood(signature, of: bytes, modulus: n, exponent: e)
            }
          },
          digest: { bytes in
            do throws(TLSError) { return try TLSDigest.sha256(bytes) } catch { return nil }
          },
          authenticate: { bytes in
            do throws(TLSError) { return try TLSDigest.code(of: bytes, key: secret) } catch {
              return nil
            }
          },
          random: { count in (0..<count).map { _ in UInt8.random(in: 0...255) } },
          isAllowed: { name in Self.isAllowed(name, permitted) },
          issue: { request, names, account in
            let issued = Self.issue(request, names, account, by: authority, at: clock())
            if case .success(let pem) = issued {
              events.add(Self.given(pem, names))
              counts.count(.given)
            }
            return issued
          }
        )
      )
    )
  }

  /// Whether the authority can vouch for a name: its certificate says for which.
  private static func isAllowed(_ name: String, _ permitted: Set<String>) -> Bool {
    if name.hasPrefix("*.") {
      // All of `test` or `internal` is nobody's.
      let base = String(name.dropFirst(2))
      return base.contains(".") && IPAddress(base) == nil && isAllowed(base, permitted)
    }
    guard !name.hasPrefix("."), CertificateNeed.isLocal(name) else { return false }
    if IPAddress(name) != nil || name.contains(".") { return true }
    return permitted.contains(name) || CertificateNeed.localSuffixes.contains(name)
  }

  private static func issue(
    _ der: [UInt8],
    _ names: [String],
    _ account: ACMEClientKey,
    by authority: LocalAuthority,
    at now: Int64
  ) -> Result<[UInt8], ACMEProblem> {
    do throws(TLSError) {
      let request = try TLSRequest(der: der)
      func plain(_ names: [String]) -> Set<String> {
        Set(names.map { name in IPAddress(name).map { "\($0)" } ?? name })
      }
      guard plain(request.names) == plain(names) else {
        let asked = request.names.prefix(8).joined(separator: ", ")
        return .failure(ACMEProblem(400, "badCSR", "it asks for \(asked), which is not the order"))
      }
      return .success(
        try authority.issue(for: names, to: request.key, account: account.name, now: now)
      )
    } catch {
      return .failure(ACMEProblem(400, "badCSR", "\(error)"))
    }
  }

  private static func given(_ pem: [UInt8], _ names: [String]) -> String {
    do throws(TLSError) {
      let serial = try TLSCertificates(pem: pem).serialNumber ?? []
      return "a certificate was given for \(names.joined(separator: ", ")), its number is "
        + RevocationList.text(serial)
    } catch {
      return "a certificate was given for \(names.joined(separator: ", "))"
    }
  }

  /// Has something told when there is time.
  func note(_ text: String) { events.add(text) }

  // MARK: Looking at names

  /// Looks at the names of clients, on the loop of who asks, until somebody says that it is over.
  func look(
    by client: AuthorityClient,
    _ settings: AuthorityServiceSettings,
    on loop: EventLoop,
    _ signal: Signal,
    tell: (CertificateEvent) -> Void,
    isOver: () -> Bool
  ) async {
    var waiting: [ACMEValidation] = []
    let running = Running()
    while !isOver() {
      for event in events.take() { tell(event) }
      waiting += state.withLock { $0.takeValidations() }
      while waiting.count > Self.waitingCount {
        note(waiting.removeLast(), ACMEProblem(429, "rateLimited", "too many names are looked at"))
      }
      while running.count < Self.lookCount, !waiting.isEmpty {
        let validation = waiting.removeFirst()
        running.count += 1
        let service = self
        loop.spawn(named: "look at a name for a certificate") {
          let problem =
            switch validation.kind {
            case .http: await service.problem(of: validation, client, settings.httpPort, on: loop)
            case .tls: await service.problem(ofTLS: validation, client, settings.tlsPort, on: loop)
            case .dns: await service.problem(ofRecord: validation, settings.resolvers, on: loop)
            }
          service.note(validation, problem)
          running.count -= 1
          signal.set()
        }
      }
      do throws(WaitError) { try await signal.wait(by: loop.deadline(after: Self.rest)) } catch {
        guard error == .timedOut else { return }
      }
    }
  }

  private final class Running { var count = 0 }

  private func note(_ validation: ACMEValidation, _ problem: ACMEProblem?) {
    state.withLock { $0.noteValidated(validation.id, problem, at: clock()) }
  }

  /// Why a name is not believed to be a client's, whose server is asked over TLS; nil: it is.
  ///
  /// - Source: RFC 8737, section 3; RFC 8738, section 6.
  private func problem(
    ofTLS validation: ACMEValidation,
    _ client: AuthorityClient,
    _ port: Int,
    on loop: EventLoop
  ) async -> ACMEProblem? {
    let digest: [UInt8]
    do throws(TLSError) {
      digest = try TLSDigest.sha256(Array(validation.authorization.utf8))
    } catch {
      return ACMEProblem(500, "serverInternal", "a digest could not be computed")
    }
    var problem = ACMEProblem(400, "connection", "\(validation.name): nobody was asked")
    for number in 0..<Self.tryCount {
      if number > 0 {
        do throws(WaitError) { try await loop.sleep(for: Self.pause) } catch { return problem }
      }
      do throws(ACMEFailure) {
        let isShown = try await client.shows(digest, for: validation.name, port: port)
        if isShown { return nil }
        let text = "\(validation.name):\(port) shows another certificate"
        problem = ACMEProblem(403, "unauthorized", text)
      } catch {
        problem = ACMEProblem(400, "connection", "\(error)")
      }
    }
    return problem
  }

  /// Why a name is not believed to be a client's, a record of which is looked for; nil: it is.
  ///
  /// - Source: RFC 8555, section 8.4.
  private func problem(
    ofRecord validation: ACMEValidation,
    _ servers: [Address],
    on loop: EventLoop
  ) async -> ACMEProblem? {
    let wanted: [UInt8]
    do throws(TLSError) {
      wanted = Array(
        ACMEProof.recordText(try TLSDigest.sha256(Array(validation.authorization.utf8))).utf8
      )
    } catch {
      return ACMEProblem(500, "serverInternal", "a digest could not be computed")
    }
    let name = ACMEProof.recordName(of: validation.name)
    let resolver = TextResolver(servers: Self.servers(servers), loop: loop)
    var problem = ACMEProblem(400, "dns", "\(name): nobody was asked")
    for number in 0..<Self.tryCount {
      if number > 0 {
        do throws(WaitError) { try await loop.sleep(for: Self.pause) } catch { return problem }
      }
      do throws(ACMEFailure) {
        let texts = try await resolver.texts(of: name)
        if texts.contains(wanted) { return nil }
        let told = texts.isEmpty ? "has no text" : "has another text"
        problem = ACMEProblem(403, "unauthorized", "\(name) \(told)")
      } catch {
        problem = ACMEProblem(400, "dns", "\(error)")
      }
    }
    return problem
  }

  /// The name services that the configuration names, or those of the system.
  private static func servers(_ named: [Address]) -> [SocketAddress] {
    let found = named.compactMap { address -> SocketAddress? in
      guard case .ip(let host, let port) = address else { return nil }
      return SocketAddress(host: "\(host)", port: port)
    }
    guard found.isEmpty else { return found }
    do throws(SystemError) {
      let bytes = try Files.read("/etc/resolv.conf", limit: 64 << 10)
      return TextResolver.systemServers(String(decoding: bytes, as: UTF8.self))
    } catch {
      return TextResolver.systemServers("")
    }
  }

  /// Why a name is not believed to be a client's; nil: it is.
  private func problem(
    of validation: ACMEValidation,
    _ client: AuthorityClient,
    _ port: Int,
    on loop: EventLoop
  ) async -> ACMEProblem? {
    let host = validation.name.contains(":") ? "[\(validation.name)]" : validation.name
    let place = port == 80 ? host : "\(host):\(port)"
    let url = "http://\(place)\(ACMEProof.path)\(validation.token)"
    var problem = ACMEProblem(400, "connection", "\(url): nobody was asked")
    for number in 0..<Self.tryCount {
      if number > 0 {
        do throws(WaitError) { try await loop.sleep(for: Self.pause) } catch { return problem }
      }
      do throws(ACMEFailure) {
        let answer = try await client.answer(from: url)
        let text = String(decoding: answer.body.prefix(1024), as: UTF8.self)
        let trimmed = text.trimmed
        if answer.status == 200, trimmed == validation.authorization { return nil }
        let told = answer.status == 200 ? "another text" : "\(answer.status)"
        problem = ACMEProblem(403, "unauthorized", "\(url) answers with \(told)")
      } catch {
        problem = ACMEProblem(400, "connection", "\(url): \(error)")
      }
    }
    return problem
  }
}

extension String {
  /// Without spaces and line ends behind it.
  fileprivate var trimmed: String {
    var text = self[...]
    while let last = text.last, last.isWhitespace { text = text.dropLast() }
    return String(text)
  }
}
