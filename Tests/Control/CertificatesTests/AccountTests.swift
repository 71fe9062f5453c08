import ACME
import Certificates
import Configuration
import Edge
import Foundation
import MartletLoop
import MartletNet
import MartletSystem
import TLS
import Testing

/// An authority over HTTPS on the loop of a test, which gives certificates to everybody.
private final class OpenAuthority {
  let directory: String
  /// The certificate by which its server is believed.
  let trust: [UInt8]
  /// The paths that were asked for, in their order.
  private(set) var paths: [String] = []
  /// What is waited for before an account is made.
  var holds: () async -> Void = {}
  /// How often making one is refused.
  var refusalCount = 0
  private var authority: ACMEAuthority
  private let listener: Listener
  private let context: TLSContext
  private let loop: EventLoop
  private let now = Int64(Date().timeIntervalSince1970)

  init(on loop: EventLoop) throws {
    self.loop = loop
    listener = try Listener(
      adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)),
      on: loop
    )
    directory = "https://\(listener.address)/directory"
    let validity = now - 60...now + 86_400
    let rootKey = try TLSKey()
    let root = CertificatePlan(
      .authority(permitted: []),
      organization: "Test",
      validity: validity
    )
    trust = try root.issued(for: rootKey)
    let certificates = try TLSCertificates(pem: trust)
    @Sendable func issued(_ names: [String], _ key: TLSKey) throws(TLSError) -> [UInt8] {
      let plan = CertificatePlan(.server, organization: "Test", names: names, validity: validity)
      return try plan.issued(for: key, by: certificates, rootKey)
    }
    let own = try TLSKey()
    context = try TLSContext(
      server: "authority",
      [TLSIdentity(certificates: issued(["127.0.0.1"], own), key: own.pem())],
      policy: .intermediate,
      protocols: ["http/1.1"],
      resumption: TLSResumption(tickets: nil)
    )
    authority = ACMEAuthority(
      ACMEAuthorityTools(
        verify: { key, bytes, signature in
          guard case .point(let x, let y) = key else { return false }
          return TLSSignature.isGood(signature, of: bytes, x: x, y: y)
        },
        digest: { try? TLSDigest.sha256($0) },
        authenticate: { try? TLSDigest.code(of: $0, key: [1]) },
        random: { count in (0..<count).map { _ in .random(in: 0...255) } },
        isAllowed: { _ in true },
        issue: { der, names, _ in
          do {
            return .success(try issued(names, TLSRequest(der: der).key))
          } catch {
            return .failure(ACMEProblem(400, "badCSR", "\(error)"))
          }
        }
      )
    )
    let server = self
    loop.spawn { await server.serve() }
  }

  var accountCount: Int { paths.count { $0 == "/new-account" } }

  private func serve() async {
    while true {
      let stream: MartletNet.Stream
      do {
        let accepted = try await listener.accept()
        stream = try Stream(adopting: accepted.descriptor, on: loop)
      } catch {
        return
      }
      let server = self
      loop.spawn { do { try await server.serve(stream) } catch { return } }
    }
  }

  private func serve(_ stream: MartletNet.Stream) async throws {
    let soon = loop.deadline(after: Timeout(.seconds(20)))
    let session = try TLSSession(context, socket: stream.descriptor, as: .server)
    try await session.begin(on: stream, loop, by: soon)
    var bytes: [UInt8] = []
    while true {
      let part = try await stream.read(.body, by: soon)
      if part.isEmpty { return }
      for index in 0..<part.count { bytes.append(part.bytes[index]) }
      guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { continue }
      let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        .components(separatedBy: "\r\n")
      func field(_ name: String) -> String {
        lines.first { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) } ?? ""
      }
      guard bytes.count >= end.upperBound + (Int(field("Content-Length")) ?? 0) else { continue }
      let words = lines[0].split(separator: " ").map(String.init)
      let reply = await answer(
        ACMECall(
          words[0],
          base: "https://\(listener.address)",
          path: words[1],
          contentType: field("Content-Type"),
          body: Array(bytes[end.upperBound...])
        )
      )
      let head =
        ["HTTP/1.1 \(reply.status) X", "Content-Length: \(reply.body.count)"]
        + reply.fields.map { "\($0.key): \($0.value)" } + ["Connection: close", "", ""]
      try await stream.write(Array(head.joined(separator: "\r\n").utf8) + reply.body, by: soon)
      return
    }
  }

  private func answer(_ call: ACMECall) async -> ACMEReply {
    paths.append(call.path)
    var reply = authority.answer(call, at: now)
    for validation in authority.takeValidations() {
      authority.noteValidated(validation.id, nil, at: now)
    }
    if call.path == "/new-account" {
      let isRefused = refusalCount > 0
      refusalCount -= 1
      await holds()
      if isRefused {
        reply.status = 500
        reply.body = []
      }
    }
    return reply
  }
}

@Suite("Accounts with an authority", .timeLimit(.minutes(1)))
struct AccountTests {
  /// Four certificates are obtained at once; what became of them, and how often an account was asked for.
  private func obtain(
    refusing count: Int,
    until isOver: @escaping @Sendable ([CertificateReport]) -> Bool,
    _ check: @escaping @Sendable ([CertificateReport], Int) -> Void
  ) async throws {
    let folder = try Folder()
    let storage = folder.path + "/kept"
    try CertificateStorage(storage).prepare()
    try await onLoop { loop in
      let authority = try OpenAuthority(on: loop)
      authority.refusalCount = count
      let text = """
        certificates { authority \(authority.directory) { trust root.pem } }
        server a.example b.example c.example d.example {
          listen :80
          listen :443 tls
          tls auto
          route / { respond 200 }
        }
        """
      let loaded = ConfigurationLoader.load(name: "a", text: text)
      let configuration = try #require(loaded.configuration)
      let table = AutomaticCertificates()
      let keeper = CertificateKeeper(on: loop, table, note: { _ in }, show: {})
      // An order that has begun knows of no account that is made after that. So the first account is held until all
      // have begun, or those that are left.
      authority.holds = {
        while table.reports.contains(where: { $0.state == .waiting }) { await loop.yield() }
      }
      keeper.prepare(configuration, storage: storage, trust: ["root.pem": authority.trust])
      keeper.follow()
      while !isOver(table.reports) { await loop.yield() }
      check(table.reports, authority.accountCount)
      keeper.end()
    }
  }

  @Test("are made once, however many certificates are wanted at a time")
  func once() async throws {
    try await obtain(refusing: 0, until: { $0.allSatisfy { $0.state == .good } }) {
      reports,
      count in
      #expect(reports.count == 4)
      #expect(count == 1)
    }
  }

  @Test("are made by another order when the one that began with it fails")
  func again() async throws {
    @Sendable func isOver(_ reports: [CertificateReport]) -> Bool {
      reports.allSatisfy { $0.state == .good || $0.state == .failing }
    }
    try await obtain(refusing: 1, until: isOver) { reports, count in
      #expect(reports.count { $0.state == .good } == 3)
      #expect(reports.count { $0.state == .failing } == 1)
      #expect(count == 2)
    }
  }
}
