import Configuration
import Directives
import Testing

@Suite("Health in the configuration")
struct HealthTests {
  private func load(_ block: String) -> ConfigurationLoader.Loaded {
    ConfigurationLoader.load(
      name: "a.conf",
      text:
        "upstream api {\nmember :9000\n\(block)\n}\nserver {\nlisten :80\nroute / { proxy api }\n}"
    )
  }

  private func check(_ block: String) throws -> CheckSettings {
    let loaded = load(block)
    #expect(loaded.rendered() == "")
    return try #require(loaded.configuration?.upstream(named: "api")?.check)
  }

  @Test("a check needs no block")
  func bare() throws {
    #expect(try check("check tcp") == CheckSettings(.tcp))
    #expect(try check("check redis").rise == 2)
  }

  @Test("a check of HTTP says all that it may")
  func http() throws {
    let check = try check(
      """
      check http {
        path /healthz?full
        method HEAD
        host api.internal
        header X-Check yes
        status 2xx 301 400-404
        keep_alive on
        interval 5s
        fast_interval 500ms
        down_interval 1s
        jitter 20%
        rise 4
        fall 5
        timeout 300ms
        port 8081
        address 127.0.0.2
      }
      """
    )
    #expect(check.http.path == "/healthz?full")
    #expect(check.http.statuses.map(\.bounds) == [200...299, 301...301, 400...404])
    #expect(check.http.fields == [CheckSettings.Field(name: "X-Check", value: "yes")])
    #expect(check.fastInterval == .milliseconds(500))
    #expect(check.jitterPercent == 20)
    #expect(check.address == .ipv4(0x7F00_0002))
    #expect(check.port == 8081)
  }

  @Test(
    "bytes are sent as text or by their digits",
    arguments: [
      ("PING", Array("PING".utf8)), ("\"a\\r\\n\"", [0x61, 0x0D, 0x0A]),
      ("hex:00ff0a", [0, 0xFF, 0x0A]),
    ]
  )
  func payload(text: String, bytes: [UInt8]) throws {
    #expect(try check("check udp {\nsend \(text)\n}").send == bytes)
  }

  @Test("an ejection has its defaults, and decimals")
  func eject() throws {
    let loaded = load("eject {\nfailures off\ndeviation 1.95\nstatus 502-504\nmax_ejected 34%\n}")
    #expect(loaded.rendered() == "")
    let eject = try #require(loaded.configuration?.upstream(named: "api")?.eject)
    #expect(eject.failureCount == nil)
    #expect(eject.deviationThousandths == 1950)
    #expect(eject.statuses.map(\.bounds) == [502...504])
    #expect(eject.largestPercent == 34)
  }

  @Test(
    "what does not fit is told with its mend",
    arguments: [
      ("check tcp {\npath /a\n}", "`path` means nothing to `check tcp`", "it is for `check http`"),
      ("check icmp {\nport 1\n}", "`port` means nothing to `check icmp`", "remove it"),
      ("check udp", "`check udp` sends something", "write `send ping` into its block"),
      (
        "check script", "`check script` runs a program",
        "write `command /usr/local/bin/check-app` into its block"
      ),
      ("check http\ncheck tcp", "the upstream has a check already", "remove one of them"),
      ("eject\neject", "the upstream has an `eject` already", "remove one of them"),
      ("check http {\nheader Host a\n}", "a check writes `Host` itself", "write `host a`"),
      (
        "check http {\ninter 2s\n}", "there is no directive `inter` in `check`",
        "`interval` does it here"
      ),
      ("check http {\nstatus 600\n}", "`600` is no status", "write `status 200-299`"),
      ("check http {\nbody *\n}", "a text that is looked for has 1 to 1024 bytes besides `*`", nil),
      ("eject {\nmax_ejected 50\n}", "`50` does not end with `%`", "write `max_ejected 50%`"),
      ("eject {\ndeviation 1.2345\n}", "`1.2345` is no number with up to three decimals", nil),
      ("eject {\ndeviation 0.05\n}", "`0.05` is not within 0.1 and 100", "write `deviation 0.1`"),
      (
        "check ping",
        "`ping` is none of tcp, http, tls, icmp, udp, redis, postgresql, mysql, grpc, script", nil
      ),
      (
        "member unix:/run/a.sock\ncheck icmp",
        "the member `unix:/run/a.sock` is a Unix socket: it has no address that can be asked so",
        "write `check tcp` or `check http`"
      ),
      (
        "on_change tell", "`on_change` names a program by its whole path, `tell` is none",
        "write `on_change /usr/local/bin/tell`"
      ),
    ] as [(String, String, String?)]
  )
  func wrong(block: String, problem: String, mend: String?) throws {
    let errors = load(block).diagnostics.filter { $0.severity == .error }
    let error = try #require(errors.first)
    #expect(error.problem == problem)
    if let mend { #expect(error.mend == mend) }
  }

  @Test("an ejection for nothing is warned of")
  func nothing() {
    let problems = load("eject { failures off }").diagnostics.map(\.problem)
    #expect(problems == ["nothing ejects a member here"])
  }
}
