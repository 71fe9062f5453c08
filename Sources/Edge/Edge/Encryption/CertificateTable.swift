import Configuration
import Routing
import TLS

/// Which context answers for the host that a client asks for, before it has sent a request.
///
/// First the server is found as it is for a request; of its certificates one that is good for the host is
/// taken, else one of another server that is, else the server's first.
struct CertificateTable: Sendable {
  /// A certificate in use, for those who look.
  struct Entry: Sendable {
    let path: String
    let certificates: TLSCertificates
  }

  /// Contexts by the names in their certificates, in which `*` stands for one label.
  private struct Names {
    var exact: [String: TLSContext] = [:]
    var wildcard: [Substring: TLSContext] = [:]

    func context(for host: String) -> TLSContext? {
      if let context = exact[host] { return context }
      guard let dot = host.firstIndex(of: ".") else { return nil }
      return wildcard[host[dot...]]
    }

    mutating func add(_ context: TLSContext, for name: String) {
      if name.hasPrefix("*.") {
        wildcard[name.dropFirst(), default: context] = wildcard[name.dropFirst()] ?? context
      } else {
        exact[name, default: context] = exact[name] ?? context
      }
    }
  }

  private struct Server {
    var names = Names()
    var first: TLSContext?
    /// Whether clients must meet its own demands, and so no other server's context may stand in.
    var asksClients = false
  }

  private let hosts: HostTable
  private let servers: [Server]
  private let all: Names
  private let fallback: Int
  let entries: [Entry]

  /// Creates the contexts of the servers of one address.
  ///
  /// `make` creates a context of a server with certificates of which no two have one kind of key.
  ///
  /// - Throws: ``TLS/TLSError``.
  init(
    _ settings: [ServerSettings],
    fallback: Int,
    _ files: TLSFiles,
    _ automatic: AutomaticCertificates,
    _ make: (ServerSettings, [TLSIdentity]) throws(TLSError) -> TLSContext
  ) throws(TLSError) {
    var hosts: [(pattern: HostPattern, value: Int)] = []
    var servers: [Server] = []
    var all = Names()
    var entries: [Entry] = []
    for (index, server) in settings.enumerated() {
      for name in server.names { hosts.append((name, index)) }
      var own = Server()
      own.asksClients = server.tls.clientDemand != .off
      let identities = try Self.identities(of: server, files, automatic)
      for (path, identity, _) in identities {
        entries.append(Entry(path: path, certificates: identity.certificates))
      }
      // Certificates go together where they are good for the same host and differ in their keys.
      var made: [[Int]: TLSContext] = [:]
      func context(_ indices: [Int]) throws(TLSError) -> TLSContext {
        var kinds: Set<Int32> = []
        let group = indices.filter { kinds.insert(identities[$0].1.certificates.keyKind).inserted }
        if let context = made[group] { return context }
        let context = try make(server, group.map { identities[$0].1 })
        made[group] = context
        return context
      }
      for name in Set(identities.flatMap(\.2)) {
        let chosen = try context(
          identities.indices.filter { TLSCertificates.names(identities[$0].2, cover: name) }
        )
        own.names.add(chosen, for: name)
        all.add(chosen, for: name)
      }
      if let first = identities.first {
        let alike = identities.indices.filter {
          identities[$0].2 == first.2 || Set(identities[$0].2) == Set(first.2)
        }
        own.first = try context(alike)
      }
      servers.append(own)
    }
    self.hosts = HostTable(hosts)
    self.servers = servers
    self.all = all
    self.fallback = fallback
    self.entries = entries
  }

  private typealias Named = (path: String, identity: TLSIdentity, names: [String])

  /// The certificates of a server: those of files, and those that are obtained.
  private static func identities(
    of server: ServerSettings,
    _ files: TLSFiles,
    _ automatic: AutomaticCertificates
  ) throws(TLSError) -> [Named] {
    var result: [Named] = server.certificates.compactMap { settings in
      files.identity(settings).map { (settings.certificates, $0, $0.certificates.names) }
    }
    for need in server.certificateNeeds {
      let identity = try automatic.identity(for: need)
      result.append(("auto \(need.name)", identity, identity.certificates.names))
    }
    return result
  }

  /// The context for a host in lower case; empty: the client has asked for none.
  ///
  /// - Returns: nil where no server has a certificate.
  func context(for host: String) -> TLSContext? {
    let index = hosts.value(for: host.utf8.span) ?? fallback
    let server = servers.indices.contains(index) ? servers[index] : nil
    if let server, server.asksClients { return server.names.context(for: host) ?? server.first }
    return server?.names.context(for: host) ?? all.context(for: host) ?? server?.first
      ?? servers.lazy.compactMap(\.first).first
  }

  /// The first certificates that there are, for a client that asks for nothing.
  var anyContext: TLSContext? { context(for: "") }
}
