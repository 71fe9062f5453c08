import Admin
import Certificates
import Configuration
import Directives
import Edge
import JSON
import JSONRPC
import MartletSystem
import Supervision
import TLS

// What the edge does about certificates that are obtained, and what is said of them.

extension EdgeService {
  /// What keeps the certificates of this server.
  func keeper(of server: EdgeServer) -> CertificateKeeper {
    if let certificates { return certificates }
    let service = self
    let keeper = CertificateKeeper(
      on: loop,
      automatic,
      note: { server.note($0) },
      show: {
        service.staples?.look()
        service.staples?.follow()
        do throws(TLSError) {
          try server.showCertificates()
        } catch {
          server.note(CertificateEvent(.noted, "all", "they cannot be shown: \(error)"))
        }
      }
    )
    certificates = keeper
    return keeper
  }

  /// What asks authorities about the certificates of this server.
  func stapler(of server: EdgeServer) -> StapleKeeper {
    if let staples { return staples }
    let service = self
    let keeper = StapleKeeper(
      on: loop,
      automatic,
      note: { server.note($0) },
      replace: { name in
        guard name.hasPrefix("auto ") else { return }
        let first = name.dropFirst("auto ".count).prefix { $0 != "+" }
        _ = service.certificates?.renew(String(first))
      }
    )
    staples = keeper
    return keeper
  }

  /// Performs a method that is about certificates.
  func performCertificates(
    _ method: String,
    _ arguments: RPCArguments
  ) async throws(RPCError) -> JSONValue {
    guard let certificates else { throw ControlFault.unavailable.error("nothing is served yet") }
    let name = arguments.text("certificate") ?? ""
    switch method {
    case "certificate.list":
      return .object(["certificates": .list(automatic.reports.map(\.json))])
    case "certificate.show":
      guard let report = automatic.reports.first(where: { $0.isNamed(name) }) else {
        throw unknown(name)
      }
      guard case .object(let members) = report.json else { return .null }
      let others = automatic.installed(for: report.need)?.certificates.count ?? 1
      return .object(members + [JSONValue.Member("chain", .number(others))])
    case "certificate.renew":
      guard certificates.renew(name) else { throw unknown(name) }
      return .object([
        "message": .text("`\(name)` is obtained anew: `martlet certificate show` tells")
      ])
    case "certificate.test":
      do throws(CertificateFault) {
        return try await certificates.test(name).json
      } catch {
        throw ControlFault.failed.error("\(error)")
      }
    case "certificate.revoke":
      do throws(CertificateFault) {
        let what: CertificateKeeper.Revoked =
          if let pem = arguments.text("certificates") {
            .certificate(Array(pem.utf8))
          } else if let name = arguments.text("certificate") {
            .served(name: name)
          } else {
            .number(arguments.text("number") ?? "")
          }
        let number = try await certificates.revoke(what, reason: arguments.number("reason") ?? 0)
        return .object(["message": .text("the certificate with the number \(number) is revoked")])
      } catch {
        throw ControlFault.failed.error("\(error)")
      }
    default:
      do throws(CertificateFault) {
        let names = try await certificates.take(
          certificates: Array((arguments.text("certificates") ?? "").utf8),
          key: Array((arguments.text("key") ?? "").utf8)
        )
        return .object([
          "message": .text("it is served for \(names.joined(separator: ", ")) until it is renewed")
        ])
      } catch {
        throw ControlFault.failed.error("\(error)")
      }
    }
  }

  private func unknown(_ name: String) -> RPCError {
    let names = automatic.reports.map(\.need.name)
    let near = nearestName(to: name, among: names).map { ": did you mean `\($0)`?" }
    return ControlFault.noCertificate.error(
      "no server with `tls auto` has the name `\(name)`\(near ?? "")"
    )
  }
}

extension CertificateKeeper {
  /// Has what a configuration needs at hand before it is compiled.
  func prepare(
    _ configuration: EdgeConfiguration,
    _ bundle: SourceBundle,
    usualStorage: String
  ) {
    var trust: [String: [UInt8]] = [:]
    for path in configuration.issuance.authorities.compactMap(\.trust) {
      if case .bytes(let bytes)? = bundle.files[path] { trust[path] = bytes }
    }
    prepare(
      configuration,
      storage: configuration.issuance.storage ?? usualStorage,
      trust: trust,
      machine: Self.machineName
    )
  }

  /// What this machine is called; empty: nobody knows.
  private static var machineName: String {
    do throws(SystemError) {
      let bytes = try Files.read("/proc/sys/kernel/hostname", limit: 256)
      return String(decoding: bytes.prefix { $0 > 0x20 && $0 < 0x7F }, as: UTF8.self)
    } catch {
      return ""
    }
  }
}

extension CheckedConfiguration {
  /// Makes the place where certificates are kept, for the user that will keep them there.
  ///
  /// - Returns: What is wrong, or nil: a server without its certificate is served all the same.
  func prepareStorage(usual: String) -> String? {
    let isNeeded =
      !configuration.certificateNeeds.isEmpty || configuration.authorityService != nil
      || asksResponders
    guard isNeeded else { return nil }
    let storage = CertificateStorage(configuration.issuance.storage ?? usual)
    let process = configuration.process
    do {
      let owner = try process.user.map { user throws(SystemError) in
        try UserRights(user: user, group: process.group)
      }
      try storage.prepare(for: owner)
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Whether an authority is asked about a certificate of a file.
  private var asksResponders: Bool {
    configuration.servers.contains { server in
      server.tls.staples && server.listeners.contains(where: \.isTLS)
        && server.certificates.contains { settings in
          guard case .bytes(let pem)? = bundle.files[settings.certificates] else { return false }
          if server.tls.responder != nil { return true }
          do throws(TLSError) {
            return try TLSCertificates(pem: pem).responder != nil
          } catch {
            return false
          }
        }
    }
  }
}

extension SourceBundle {
  /// Overwrites the keys of certificates and what seals tickets: what is made of them has them.
  func forgetSecrets(of configuration: EdgeConfiguration) {
    let servers = configuration.servers
    let members = configuration.upstreams.compactMap(\.tls)
    let certificates = servers.flatMap(\.certificates) + members.compactMap(\.certificate)
    let secrets = certificates.map(\.key) + servers.compactMap(\.tls.ticketSecret)
    // What is read again and again is none of them, though it may stand in the same file.
    let kept =
      servers.compactMap(\.tls.clientAuthorities) + members.compactMap(\.authorities)
      + configuration.issuance.authorities.compactMap(\.trust)
    for path in Set(secrets).subtracting(kept) {
      if case .bytes(let bytes)? = files[path] { Secret.forget(bytes) }
    }
  }

  /// What is wrong with the certificates of a configuration, for people.
  func certificateProblems(of configuration: EdgeConfiguration) -> [String] {
    let now = SystemClock.wallMicroseconds() / 1_000_000
    let found = CertificateWatch.problems(of: configuration, at: now) { settings in
      guard case .bytes(let pem)? = files[settings.certificates] else { return nil }
      // One that cannot be read is an error of the configuration.
      do throws(TLSError) { return try TLSCertificates(pem: pem) } catch { return nil }
    }
    return found.map { "warning: the certificate `\($0.path)`: \($0.detail)" }
  }
}

extension CertificateKeeper.Trial {
  /// What came of it as an object.
  fileprivate var json: JSONValue {
    .object([
      "running": .flag(isRunning),
      "good": .flag(results.contains { $0.problem == nil }),
      "authorities": .list(
        results.map { result in
          .object([
            "authority": .text(result.authority), "good": .flag(result.problem == nil),
            "problem": .text(result.problem ?? ""),
          ])
        }
      ),
    ])
  }
}

extension CertificateReport {
  /// Whether this is what people mean by a name.
  fileprivate func isNamed(_ name: String) -> Bool {
    need.name == name || need.names.contains(name)
  }

  /// The report as an object.
  fileprivate var json: JSONValue {
    .object([
      "certificate": .text(need.name), "names": .list(need.names.map { .text($0) }),
      "state": .text(state.rawValue), "local": .flag(need.isLocal), "issuer": .text(issuer),
      "from": validity.map { .number(Int($0.lowerBound)) } ?? .null,
      "until": validity.map { .number(Int($0.upperBound)) } ?? .null,
      "fingerprint": .text(fingerprint), "next": next.map { .number(Int($0)) } ?? .null,
      "failures": .number(failureCount), "problem": .text(problem),
    ])
  }
}
