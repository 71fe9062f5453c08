import Certificates
import Configuration
import Directives
import Edge
import Foundation
import MartletLoop
import MartletNet
import MartletSystem
import Synchronization
import TLS
import TestPeers
import Testing

/// A responder on the loop of a test, which answers with what it is told to.
private final class Responder {
  let url: String
  var status = 200
  var body: [UInt8] = []
  private(set) var questions: [[UInt8]] = []
  private let listener: Listener
  private let loop: EventLoop

  init(on loop: EventLoop) throws {
    self.loop = loop
    listener = try Listener(
      adopting: try Listener.bind(.ipv4(0x7F00_0001, port: 0)),
      on: loop
    )
    url = "http://\(listener.address)/ocsp"
    let responder = self
    loop.spawn { await responder.serve() }
  }

  private func serve() async {
    while true {
      let stream: MartletNet.Stream
      do {
        let accepted = try await listener.accept()
        stream = try Stream(adopting: accepted.descriptor, on: loop)
      } catch {
        return
      }
      do { try await answer(stream) } catch { continue }
    }
  }

  private func answer(_ stream: MartletNet.Stream) async throws {
    let soon = loop.deadline(after: Timeout(.seconds(20)))
    var bytes: [UInt8] = []
    while true {
      let part = try await stream.read(.body, by: soon)
      if part.isEmpty { return }
      for index in 0..<part.count { bytes.append(part.bytes[index]) }
      let text = String(decoding: bytes, as: UTF8.self)
      let lines = text.components(separatedBy: "\r\n")
      guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)),
        let length = lines.first(where: { $0.hasPrefix("Content-Length: ") }),
        let count = Int(length.dropFirst("Content-Length: ".count)),
        bytes.count >= end.upperBound + count
      else { continue }
      #expect(lines.contains("Content-Type: application/ocsp-request"))
      questions.append(Array(bytes[end.upperBound...]))
      break
    }
    let head = "HTTP/1.1 \(status) X\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    try await stream.write(Array(head.utf8) + body, by: soon)
  }
}

@Suite("The keeper of what responders say", .timeLimit(.minutes(1)))
struct StapleKeeperTests {
  /// A clock that a test turns.
  final class Clock: Sendable {
    private let seconds = Mutex(Int64(Date().timeIntervalSince1970))
    var now: Int64 { seconds.withLock(\.self) }
    func advance(by more: Int64) { seconds.withLock { $0 += more } }
  }

  /// What OpenSSL has made: a certificate with its chain, and responses about it.
  struct Material: Sendable {
    var chain: [UInt8]
    var key: [UInt8]
    var good: [UInt8]
    var revoked: [UInt8]
    var unknown: [UInt8]
    /// About another certificate.
    var other: [UInt8]
    /// Without the certificate of who has signed it.
    var alone: [UInt8]

    static func made() async throws -> Material {
      try await Rig.run { rig in
        func bytes(_ path: String) throws -> [UInt8] {
          Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        }
        let vouched = try rig.vouched(extensions: ["tlsfeature=status_request"])
        let chain = try bytes(vouched.files.certificate)
        let request = try #require(try TLSCertificates(pem: chain).statusRequest)
        func response(_ state: String?) throws -> [UInt8] {
          try rig.list(vouched, as: state)
          return try rig.response(about: vouched, request: request)
        }
        let other = try rig.vouched("other")
        let foreign = try #require(
          try TLSCertificates(pem: bytes(other.files.certificate)).statusRequest
        )
        return Material(
          chain: chain,
          key: try bytes(vouched.files.key),
          good: try response("V"),
          revoked: try response("R"),
          unknown: try response(nil),
          other: try rig.response(about: other, request: foreign),
          alone: try bytes(rig.path("vouched-own.pem"))
        )
      }
    }
  }

  /// A keeper before a responder.
  private final class Bench {
    let loop: EventLoop
    let clock = Clock()
    let table = AutomaticCertificates()
    let responder: Responder
    let folder: Folder
    private(set) var events: [CertificateEvent] = []
    private(set) var replaced: [String] = []
    private(set) var keeper: StapleKeeper?

    init(on loop: EventLoop) throws {
      self.loop = loop
      responder = try Responder(on: loop)
      folder = try Folder()
      try CertificateStorage("\(folder.path)/kept").prepare()
    }

    /// Starts a keeper of a server with the certificate.
    func start(_ material: Material, chain: [UInt8]? = nil, file: [UInt8]? = nil) throws {
      let text = """
        server shop.example {
          listen :443 tls
          certificate /a/chain.pem /a/key.pem
          tls {
            ocsp_responder \(responder.url)
            \(file == nil ? "" : "ocsp_response /a/response")
          }
          route / { respond 200 }
        }
        """
      var bundle = SourceBundle(name: "a", text: text)
      bundle.files["/a/chain.pem"] = .bytes(chain ?? material.chain)
      bundle.files["/a/key.pem"] = .bytes(material.key)
      if let file { bundle.files["/a/response"] = .bytes(file) }
      let configuration = try #require(ConfigurationLoader.load(bundle).configuration)
      let files = try TLSFiles(of: configuration, in: bundle, logs: NamedDescriptors())
      let bench = self
      let clock = clock
      let made = StapleKeeper(
        on: loop,
        table,
        clock: { clock.now },
        random: { 0 },
        note: { bench.events.append($0) },
        replace: { bench.replaced.append($0) }
      )
      keeper?.end()
      keeper = made
      made.prepare(configuration, files, storage: "\(folder.path)/kept")
      made.follow()
    }

    var report: StapleReport? { table.staples.first }

    /// Turns the loop until something is so.
    func until(_ isSo: (StapleReport) -> Bool) async throws {
      let end = loop.deadline(after: Timeout(.seconds(20)))
      while !(report.map(isSo) ?? false) {
        try #require(!loop.hasPassed(end), "\(String(describing: report)), \(events)")
        try await loop.sleep(for: .milliseconds(1))
      }
    }

    func advance(by seconds: Int64) {
      clock.advance(by: seconds)
      keeper?.follow()
    }
  }

  @Test("shows what the responder has said, and asks anew after half of its time")
  func refresh() async throws {
    let material = try await Material.made()
    try await onLoop { loop in
      let bench = try Bench(on: loop)
      bench.responder.body = material.good
      try bench.start(material)
      #expect(bench.report?.isRequired == true)
      try await bench.until { $0.state == .good }
      #expect(bench.events.map(\.kind) == [.vouched])
      let validity = try #require(bench.report?.validity)
      let next = try #require(bench.report?.next)
      #expect(next == validity.lowerBound + 43_200)
      bench.advance(by: 43_000)
      await loop.yield()
      #expect(bench.responder.questions.count == 1)
      bench.advance(by: 300)
      try await bench.until { $0.fetchedCount == 2 }
      #expect(bench.responder.questions.count == 2)
      #expect(bench.events.count == 1)
      bench.keeper?.end()
    }
  }

  @Test("shows the old response while none comes, and none when it is over")
  func failures() async throws {
    let material = try await Material.made()
    try await onLoop { loop in
      let bench = try Bench(on: loop)
      bench.responder.body = material.good
      try bench.start(material)
      try await bench.until { $0.state == .good }
      bench.responder.status = 503
      bench.advance(by: 50_000)
      try await bench.until { $0.failureCount == 1 }
      #expect(bench.report?.state == .failing)
      #expect(bench.report?.validity != nil)
      #expect(bench.report?.problem.contains("503") == true)
      #expect(bench.report?.next == bench.clock.now + 45)
      bench.advance(by: 46)
      try await bench.until { $0.failureCount == 2 }
      #expect(bench.report?.next == bench.clock.now + 90)
      bench.advance(by: 40_000)
      try await bench.until { $0.validity == nil }
      #expect(bench.events.contains { $0.detail.contains("over") })
      bench.keeper?.end()
    }
  }

  @Test("tells of a revocation once, and shows nothing")
  func revoked() async throws {
    let material = try await Material.made()
    try await onLoop { loop in
      let bench = try Bench(on: loop)
      bench.responder.body = material.good
      try bench.start(material)
      try await bench.until { $0.state == .good }
      bench.responder.body = material.revoked
      bench.advance(by: 50_000)
      try await bench.until { $0.state == .revoked }
      #expect(bench.report?.validity == nil)
      #expect(bench.replaced == ["/a/chain.pem"])
      bench.advance(by: 500)
      try await bench.until { $0.fetchedCount == 3 }
      #expect(bench.replaced.count == 1)
      #expect(bench.events.filter { $0.kind == .revoked }.count == 1)
      bench.keeper?.end()
    }
  }

  @Test(
    "never shows what is not about the certificate, not in form, or unknown",
    arguments: ["other", "unknown", "key"]
  )
  func refused(body: String) async throws {
    let material = try await Material.made()
    try await onLoop { loop in
      let bench = try Bench(on: loop)
      bench.responder.body =
        body == "other" ? material.other : body == "unknown" ? material.unknown : material.key
      try bench.start(material)
      try await bench.until { $0.failureCount == 1 }
      #expect(bench.report?.state == .failing)
      #expect(bench.report?.validity == nil)
      #expect(bench.events.map(\.kind) == [.unasked])
      bench.keeper?.end()
    }
  }

  @Test("knows after a restart what the responder has said, and asks nobody before it is time")
  func kept() async throws {
    let material = try await Material.made()
    try await onLoop { loop in
      let bench = try Bench(on: loop)
      bench.responder.body = material.good
      try bench.start(material)
      try await bench.until { $0.state == .good }
      let folder = "\(bench.folder.path)/kept/ocsp"
      let end = loop.deadline(after: Timeout(.seconds(20)))
      func isKept() -> Bool {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
        return names?.contains { $0.hasSuffix(".der") } ?? false
      }
      while !isKept() {
        try #require(!loop.hasPassed(end))
        try await loop.sleep(for: .milliseconds(1))
      }
      try bench.start(material)
      #expect(bench.report?.state == .good)
      #expect(bench.report?.fetchedCount == 0)
      await loop.yield()
      #expect(bench.responder.questions.count == 1)
      // When it is over, it counts no more after a restart either.
      bench.clock.advance(by: 90_000)
      bench.responder.status = 500
      try bench.start(material)
      #expect(bench.report?.validity == nil)
      bench.keeper?.end()
    }
  }

  @Test(
    "shows the response of a file, and asks nobody; without the authority it asks nobody either"
  )
  func files() async throws {
    let material = try await Material.made()
    try await onLoop { loop in
      let bench = try Bench(on: loop)
      try bench.start(material, file: material.good)
      #expect(bench.report?.state == .good)
      #expect(bench.report?.responder == "/a/response")
      await loop.yield()
      #expect(bench.responder.questions.isEmpty)
      try bench.start(material, chain: material.alone)
      #expect(bench.report?.state == .failing)
      #expect(bench.report?.problem.contains("does not stand behind") == true)
      bench.keeper?.end()
    }
  }
}
