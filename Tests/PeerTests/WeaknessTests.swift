import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// Debian's testssl.sh, which looks for everything that is known to be wrong with TLS.
  @Suite("Weaknesses of TLS", .timeLimit(.minutes(4 * slowness)))
  struct WeaknessTests {
    /// A policy, and what is found with it that is as it should be.
    private struct Preset {
      var policy: String
      var speaksOlder = true
      /// The names of findings, each with its reason beside it.
      var explained: Set<String> = []
    }

    private static let presets = [
      Preset(policy: "modern", speaksOlder: false), Preset(policy: "intermediate"),
      Preset(
        policy: "old",
        // Block ciphers and keys that RSA encrypts are what the policy is for.
        explained: ["cipherlist_AVERAGE", "LUCKY13"]
      ),
    ]

    @Test("are none: protocols, kinds of ciphers, and what has a name")
    func testssl() async throws {
      try await Rig.run { rig in
        let files = try rig.certificate("localhost", for: ["localhost"])
        let places = try Self.presets.map { _ in try rig.freePort() }
        let servers = zip(Self.presets, places).map { preset, place in
          """
          server localhost {
            listen \(place) tls
            certificate \(files.certificate) \(files.key)
            tls { policy \(preset.policy) }
            route / { respond 200 "ok" }
          }

          """
        }
        _ = try rig.martlet(
          configuration: servers.joined() + "server { listen LISTEN\nroute / { respond 404 } }\n"
        )
        // Side by side; forward secrecy is told by the kinds of ciphers, and the certificate is the test's own.
        let checks = try zip(Self.presets, places).map { preset, place in
          guard case .port(let port) = place else { throw PeerError("not a port") }
          return try rig.start([
            "testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip",
            "127.0.0.1", "--jsonfile", rig.path("\(preset.policy).json"), "-p", "-s", "-U",
            "localhost:\(port)",
          ])
        }
        for (preset, check) in zip(Self.presets, checks) {
          _ = try check.status(within: .seconds(180 * slowness))
          try judge(preset, rig, "\(check.lines)")
        }
      }
    }

    private func judge(_ preset: Preset, _ rig: Rig, _ lines: String) throws {
      let found = try JSONValue(parsing: rig.read("\(preset.policy).json")).list ?? []
      func finding(_ name: String) -> String? {
        found.first { $0["id"]?.text == name }?["finding"]?.text
      }
      #expect(finding("TLS1_3")?.hasPrefix("offered") == true, "\(lines)")
      #expect(finding("TLS1_2")?.hasPrefix("offered") == preset.speaksOlder)
      #expect(finding("TLS1_1")?.hasPrefix("not offered") == true)
      #expect(finding("ALPN_HTTP2")?.contains("h2") == true)
      #expect(finding("heartbleed") != nil && finding("secure_renego") != nil)
      let grave = found.filter {
        ["LOW", "MEDIUM", "HIGH", "CRITICAL"].contains($0["severity"]?.text ?? "")
          && !preset.explained.contains($0["id"]?.text ?? "")
      }
      #expect(grave == [])
    }
  }
}
