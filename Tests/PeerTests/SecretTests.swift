import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Who can read keys of certificates, and where they are in memory.
  @Suite("Keys of certificates", .timeLimit(.minutes(2 * slowness))) struct SecretTests {
    /// A private key in the forms in which memory may hold it.
    private struct Needles {
      /// A line of the file, its bytes, and the number, with either end first.
      var line: String
      var bytes: String
      var number: String
      var reversed: String

      init(_ file: String) throws {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("-") }
        let der = Array(try #require(Data(base64Encoded: lines.joined())))
        // RFC 5915: behind the version stand 32 bytes.
        let start = try #require(der.firstRange(of: [2, 1, 1, 4, 32])).upperBound
        let number = Array(der[start..<start + 32])
        func hex(_ bytes: some Sequence<UInt8>) -> String {
          bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        line = hex(lines[0].utf8.prefix(48))
        bytes = hex(der[(start - 5)..<start + 24])
        self.number = hex(number)
        reversed = hex(number.reversed())
      }

      var all: [String] { [line, bytes, number, reversed] }
    }

    /// Counts how often some bytes stand in what a process can read.
    private static let scanner = """
      import sys
      needles = [bytes.fromhex(word) for word in sys.argv[2:]]
      counts = [0] * len(needles)
      with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
          for line in maps:
              words = line.split()
              if "r" not in words[1] or words[-1].startswith("[v"):
                  continue
              start, end = (int(part, 16) for part in words[0].split("-"))
              try:
                  memory.seek(start)
                  data = memory.read(end - start)
              except OSError:
                  continue
              for place, needle in enumerate(needles):
                  counts[place] += data.count(needle)
      print(*counts)
      """

    private func scan(_ rig: Rig, _ process: Int32, _ needles: Needles) throws -> [Int] {
      let file = try rig.write(Self.scanner, to: "scan.py")
      let outcome = try rig.outcome(
        of: ["/usr/bin/python3", file, "\(process)"] + needles.all
      )
      let counts = (outcome.lines.last ?? "").split(separator: " ").compactMap { Int($0) }
      guard counts.count == 4 else { throw PeerError("the memory was not read: \(outcome.lines)") }
      return counts
    }

    private func text(_ files: Rig.CertificateFiles) -> String {
      """
      user nobody
      server shop.example {
        listen LISTEN tls
        certificate \(files.certificate) \(files.key)
        route / { respond 200 "ok" }
      }
      """
    }

    private func owner(_ path: String) throws -> Int {
      try #require(
        try FileManager.default.attributesOfItem(atPath: path)[.ownerAccountID] as? NSNumber
      ).intValue
    }

    @Test("are read by who starts Martlet; the edge cannot read their files, nor anybody the edge")
    func files() async throws {
      try #require(getuid() == 0, "the tests run as root")
      try await Rig.run { rig in
        let files = try rig.certificate("shop", for: ["shop.example"])
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: files.key)
        let martlet = try rig.martlet(configuration: text(files))
        let edge = try #require(martlet.children.first)
        let status = try String(contentsOfFile: "/proc/\(edge)/status", encoding: .utf8)
        let users = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }
        let own = try rig.outcome(of: ["id", "-u", "nobody"]).lines.first ?? ""
        #expect(users?.split(separator: "\t").dropFirst().allSatisfy { $0 == own } == true)
        // With the rights of the edge nobody reads the key, nor the edge's memory.
        func asEdge(_ words: String...) throws -> Int32 {
          try rig.outcome(of: ["setpriv", "--reuid=nobody", "--clear-groups"] + words).status
        }
        #expect(try asEdge("true") == 0)
        #expect(try asEdge("cat", files.key) != 0)
        #expect(try asEdge("head", "-c", "1", "/proc/\(edge)/maps") != 0)
        // A reload reads another key, which the edge could not read either.
        let new = try rig.certificate("new", for: ["shop.example"])
        for (from, to) in [(new.certificate, files.certificate), (new.key, files.key)] {
          let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: from)))
          try rig.write(bytes, to: URL(fileURLWithPath: to).lastPathComponent)
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: files.key)
        #expect(try rig.martlet(command: "reload").status == 0)
        let told = try rig.openssl(to: martlet.endpoint, "-servername", "shop.example")
        #expect(told.lines.contains("subject=CN = new"))
      }
    }

    @Test("are in the memory of no other process of their user, also when nobody gives up rights")
    func dumps() async throws {
      try #require(getuid() == 0, "the tests run as root")
      try await Rig.run { rig in
        let files = try rig.certificate("shop", for: ["shop.example"])
        for file in [files.certificate, files.key] {
          try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        }
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o777],
          ofItemAtPath: rig.path(".")
        )
        let plain = text(files).replacingOccurrences(of: "user nobody\n", with: "")
        let martlet = try rig.martlet(
          configuration: plain,
          startedBy: ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        )
        let edge = try #require(martlet.children.first)
        // The kernel gives what stands below to root where a process may not be looked into.
        for process in [edge, martlet.identifier] {
          #expect(try owner("/proc/\(process)/mem") == 0, "\(process)")
        }
        #expect(
          try rig.openssl(to: martlet.endpoint).lines.contains { $0.hasPrefix("New, TLSv1.3") }
        )
      }
    }

    // A sanitizer keeps what was given back for a while, to see who still uses it.
    @Test(
      "are held once by the edge while they serve, and not at all when they do no longer",
      .enabled(if: !isSanitized)
    )
    func memory() async throws {
      try await Rig.run { rig in
        let files = try rig.certificate("shop", for: ["shop.example"])
        let needles = try Needles(files.key)
        let martlet = try rig.martlet(configuration: text(files))
        let edge = try #require(martlet.children.first)
        _ = try rig.openssl(to: martlet.endpoint, "-servername", "shop.example")
        let serving = try scan(rig, edge, needles)
        #expect(serving[0...2] == [0, 0, 0], "line, bytes, number, reversed: \(serving)")
        #expect(serving[3] >= 1, "\(serving)")
        let new = try rig.certificate("new", for: ["shop.example"])
        let file = rig.path("martlet.conf")
        let configuration = try String(contentsOfFile: file, encoding: .utf8)
          .replacingOccurrences(of: files.certificate, with: new.certificate)
          .replacingOccurrences(of: files.key, with: new.key)
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try rig.martlet(command: "reload").status == 0)
        let deadline = ContinuousClock.now + patience
        var left = try scan(rig, edge, needles)
        while left != [0, 0, 0, 0], ContinuousClock.now < deadline {
          left = try scan(rig, edge, needles)
        }
        #expect(left == [0, 0, 0, 0], "line, bytes, number, reversed")
        #expect(martlet.children.first == edge)
      }
    }
  }
}
