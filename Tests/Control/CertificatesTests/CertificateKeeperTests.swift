import Certificates
import Configuration
import Edge
import Foundation
import MartletLoop
import Synchronization
import TLS
import Testing

/// A directory that is gone when the test is over.
final class Folder {
  let path: String

  init() throws {
    let base = FileManager.default.temporaryDirectory
    path = base.appendingPathComponent("martlet-certificates-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func rights(of name: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")
    return try #require(attributes[.posixPermissions] as? Int)
  }
}

/// Runs `body` on a loop that has a thread of its own.
func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) async throws {
  let outcome = Mutex<(any Error)?>(nil)
  let loop = try EventLoop()
  try loop.startThread()
  await loop.perform {
    do { try await body(loop) } catch { outcome.withLock { $0 = error } }
  }
  loop.stop()
  if let error = outcome.withLock(\.self) { throw error }
}

@Suite("The keeper of certificates")
struct CertificateKeeperTests {
  /// A clock that a test turns.
  final class Clock: Sendable {
    private let seconds: Mutex<Int64>
    init() { seconds = Mutex(Int64(Date().timeIntervalSince1970)) }
    var now: Int64 { seconds.withLock(\.self) }
    func advance(by days: Int64) { seconds.withLock { $0 += days * 86_400 } }
  }

  private func configuration(_ names: String) throws -> EdgeConfiguration {
    // An authority that cannot be reached, so that nobody is asked.
    let text = """
      certificates { authority https://127.0.0.1:1/dir }
      server \(names) {
        tls auto
        route / { respond 200 }
      }
      """
    return try #require(ConfigurationLoader.load(name: "a", text: text).configuration)
  }

  @Test("gives private names theirs before anything is served, and keeps the authority")
  func local() async throws {
    let folder = try Folder()
    let storage = "\(folder.path)/kept"
    let configuration = try configuration("shop.test shop")
    let needs = configuration.certificateNeeds
    try CertificateStorage(storage).prepare()
    var roots: [[UInt8]?] = []
    for _ in 0..<2 {
      try await onLoop { loop in
        let table = AutomaticCertificates()
        let keeper = CertificateKeeper(on: loop, table, note: { _ in }, show: {})
        keeper.prepare(configuration, storage: storage, trust: [:])
        #expect(table.reports.map(\.state) == [.good, .good])
        #expect(needs.allSatisfy { table.installed(for: $0)?.certificates.names == $0.names })
        #expect(table.thumbprint == nil)
        keeper.end()
      }
      roots.append(try CertificateStorage(storage).localRoot())
    }
    #expect(roots[0] != nil)
    #expect(roots[0] == roots[1])
    for name in ["kept", "kept/local", "kept/local/root.key"] {
      #expect(try folder.rights(of: name) & 0o077 == 0, "\(name)")
    }
  }

  @Test("renews in time: after two thirds of the life, and not before")
  func renewal() async throws {
    let folder = try Folder()
    let storage = folder.path + "/kept"
    let configuration = try configuration("shop.test")
    let need = configuration.certificateNeeds[0]
    try CertificateStorage(storage).prepare()
    try await onLoop { loop in
      let clock = Clock()
      let table = AutomaticCertificates()
      guard let shown = Signal(on: loop) else { return }
      let keeper = CertificateKeeper(
        on: loop,
        table,
        clock: { clock.now },
        note: { _ in },
        show: { shown.set() }
      )
      keeper.prepare(configuration, storage: storage, trust: [:])
      keeper.follow()
      let first = table.installed(for: need)?.certificates.fingerprint
      clock.advance(by: 54)
      // It looks at its clock, and finds nothing to do.
      keeper.follow()
      await loop.yield()
      #expect(table.installed(for: need)?.certificates.fingerprint == first)
      clock.advance(by: 12)
      keeper.follow()
      try await shown.wait(by: loop.deadline(after: Timeout(.seconds(10))))
      let next = table.installed(for: need)?.certificates
      #expect(next?.fingerprint != first)
      #expect((next?.validity.upperBound ?? 0) > clock.now + 89 * 86_400)
      #expect(table.reports.first?.obtainedCount == 2)
      keeper.end()
    }
  }

  @Test("tells what is wrong with the storage, and tries again")
  func noStorage() async throws {
    let folder = try Folder()
    let storage = folder.path + "/kept"
    let configuration = try configuration("shop.test shop.example")
    try await onLoop { loop in
      let clock = Clock()
      let table = AutomaticCertificates()
      guard let shown = Signal(on: loop) else { return }
      let events = Mutex<[CertificateEvent]>([])
      let keeper = CertificateKeeper(
        on: loop,
        table,
        clock: { clock.now },
        note: { event in events.withLock { $0.append(event) } },
        show: { shown.set() }
      )
      keeper.prepare(configuration, storage: storage, trust: [:])
      #expect(table.reports.map(\.state) == [.failing, .failing])
      #expect(table.reports.allSatisfy { $0.problem.contains("cannot use the storage") })
      #expect(events.withLock(\.count) == 0)
      keeper.follow()
      #expect(events.withLock { $0.map(\.kind) } == [.failed, .failed])
      try CertificateStorage(storage).prepare()
      clock.advance(by: 1)
      keeper.follow()
      try await shown.wait(by: loop.deadline(after: Timeout(.seconds(10))))
      #expect(table.reports[0].state == .good)
      #expect(table.thumbprint?.utf8.count == 43)
      keeper.end()
    }
  }

  @Test("keeps nothing where no server asks for it")
  func nothing() async throws {
    let folder = try Folder()
    let text = "server a.example {\nlisten :80\nroute / { respond 200 }\n}"
    let configuration = try #require(ConfigurationLoader.load(name: "a", text: text).configuration)
    let storage = folder.path + "/kept"
    try await onLoop { loop in
      let table = AutomaticCertificates()
      let keeper = CertificateKeeper(on: loop, table, note: { _ in }, show: {})
      keeper.prepare(configuration, storage: storage, trust: [:])
      keeper.follow()
      #expect(table.reports == [])
      #expect(!keeper.renew("a.example"))
      keeper.end()
    }
    #expect(!FileManager.default.fileExists(atPath: storage))
  }
}
