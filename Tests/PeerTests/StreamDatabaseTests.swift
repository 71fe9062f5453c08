import Foundation
import TestPeers
import Testing

private let quick = "interval 100ms\njitter 0%\nrise 2\nfall 3\ntimeout 500ms"

extension PeerTests {
  /// A database behind layer 4.
  @Suite("A database behind layer 4", .timeLimit(.minutes(5 * slowness))) struct StreamDatabaseTests
  {
    private static let programs = "/usr/lib/postgresql/15/bin/"
    /// PostgreSQL refuses to run as root.
    private static let user =
      getuid() == 0
      ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] : []

    private static func port(_ endpoint: Endpoint) -> String {
      String("\(endpoint)".split(separator: ":").last ?? "")
    }

    private func serve(_ rig: Rig, at endpoint: Endpoint) throws -> Peer {
      try rig.start(
        Self.user + [
          Self.programs + "postgres", "-D", rig.path("database"), "-p", Self.port(endpoint),
          "-k", rig.path("database"),
        ],
        at: endpoint
      )
    }

    @Test("PostgreSQL that is killed and restarted keeps what was committed, and serves again")
    func recovery() async throws {
      try await Rig.run { rig in
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o777],
          ofItemAtPath: rig.path("")
        )
        let made = try rig.outcome(
          of: Self.user + [
            Self.programs + "initdb", "-D", rig.path("database"), "-A", "trust", "-U", "owner",
          ]
        )
        try #require(made.status == 0, "\(made.lines)")
        let place = try rig.freePort()
        let server = try serve(rig, at: place)
        let martlet = try rig.martlet(
          configuration: """
            tcp {
                listen LISTEN
                proxy database
                access_log stdout json
            }
            upstream database {
                member \(place)
                check postgresql {
                    \(quick)
                }
            }
            """
        )
        func psql(_ words: String) -> [String] {
          [
            "psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", Self.port(martlet.endpoint), "-U",
            "owner", "-d", "postgres", "-c", words,
          ]
        }
        try martlet.line(with: "a member is up")
        let begun = try rig.outcome(of: psql("create table birds (name text)"))
        #expect(begun.status == 0, "\(begun.lines)")
        #expect(try rig.outcome(of: psql("insert into birds values ('martlet')")).status == 0)
        // Somebody is being served when the server dies without a word.
        let waiting = try rig.start(psql("select pg_sleep(600)"))
        try wait {
          try rig.outcome(
            of: psql("select count(*) from pg_stat_activity where query like 'select pg_sleep%'")
          ).lines == ["1"]
        }
        server.signal(SIGQUIT)
        #expect(try waiting.status() != 0)
        try martlet.line(with: "a member is down")
        #expect(try rig.outcome(of: psql("select 1")).status != 0)
        _ = try server.status()
        _ = try serve(rig, at: place)
        try martlet.lines(with: "a member is up", count: 2)
        #expect(try rig.outcome(of: psql("select name from birds")).lines == ["martlet"])
      }
    }
  }
}
