import Configuration
import Directives
import Foundation
import Testing

/// A file of the repository.
func repositoryFile(_ path: String) throws -> String {
  var root = URL(fileURLWithPath: #filePath)
  for _ in 0..<4 { root.deleteLastPathComponent() }
  return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
}

/// A directive's line inside of what it needs around it.
func whole(_ line: String, in block: String) -> String {
  switch block {
  case "file": line
  case "server" where line.hasPrefix("cache"):
    "cache main\nserver {\n\(line)\nroute / { proxy :9000 }\n}"
  case "server": "server {\n\(line)\n}"
  case "route" where line.hasPrefix("client_certificate"):
    whole("client_certificate optional\nclient_authorities a.pem", in: "tls").dropLast()
      + "\nroute / {\n\(line)\nrespond 200\n} }"
  case "route" where line.hasPrefix("cache") || line.contains("\ncache "):
    "cache main\nserver { route / {\n\(line.hasPrefix("cache") ? "proxy :9000" : "")\n\(line)\n} }"
  case "sessions": "sessions shop {\n\(line)\n}"
  case "route" where line.hasPrefix("sessions"):
    "sessions shop\nserver { route / {\n\(line)\nrespond 200\n} }"
  case "route" where line.hasPrefix("send_file"):
    "server { route / {\n\(line)\nproxy :9000\n} }"
  case "cache": "cache main {\n\(line)\n}"
  case "route cache":
    "cache main\nserver { route / {\nproxy :9000\ncache main {\n\(line)\n}\n} }"
  case "app":
    "app shop {\n\(line.hasPrefix("wsgi") || line.hasPrefix("asgi") ? "" : "wsgi shop:app")\n\(line)\n}"
  case "route" where line.hasPrefix("app "):
    "app shop { wsgi shop:app }\nserver { route / {\n\(line)\n} }"
  case "route":
    [
      "proxy", "respond", "redirect", "files", "acme", "fastcgi", "scgi", "uwsgi", "handler",
    ].contains { line.hasPrefix($0) }
      ? "server { route / {\n\(line)\n} }" : "server { route / {\n\(line)\nrespond 200\n} }"
  case "files" where line.hasPrefix("resumable"):
    whole("allow put\n\(line)", in: "files")
  case "files": "server {\nroute / {\nfiles /srv/www {\n\(line)\n}\n}\n}"
  case "fastcgi" where line.hasPrefix("root"): whole("fastcgi :9000 {\n\(line)\n}", in: "route")
  case "authorize": whole("authorize :9000 {\n\(line)\n}", in: "route")
  case "fastcgi": whole("root /srv/www\n\(line)", in: "fastcgi")
  case "decompress": "server {\ndecompress {\n\(line)\n}\nroute / { respond 200 }\n}"
  case "compress": "server {\ncompress {\n\(line)\n}\nroute / { respond 200 }\n}"
  case "dictionary": whole("dictionary a.dict {\n\(line)\n}", in: "compress")
  case "cors":
    "server {\nroute / {\ncors {\norigins https://a.example\n\(line)\n}\nrespond 200\n}\n}"
  case "tcp":
    line.hasPrefix("proxy") ? "tcp {\n\(line)\n}" : "tcp {\nproxy :9000\n\(line)\n}"
  case "queue": "upstream api {\nmember :9000 max_connections 1\nqueue {\n\(line)\n}\n}"
  case "overload": "overload {\n\(line)\n}"
  case "retry", "breaker": "upstream api {\nmember :9000\n\(block) {\n\(line)\n}\n}"
  case "check": "upstream api {\nmember :9000\ncheck \(checkKind(of: line)) {\n\(line)\n} }"
  case "tls":
    "server {\nlisten :443 tls\ncertificate a.pem\ntls {\n\(line)\n} }"
  case "upstream tls": "upstream api {\nmember :9000\ntls {\n\(line)\n}\n}"
  case "certificates": "certificates {\n\(line)\n}"
  case "authority":
    "certificates {\nauthority https://acme.example/dir {\n\(line)\n"
      + (line.hasPrefix("key_id") ? "key c2VjcmV0" : line.hasPrefix("key") ? "key_id a" : "")
      + "\n}\n}"
  case "eject": "upstream api {\nmember :9000\neject {\n\(line)\n} }"
  case "upstream":
    "server { route / { proxy api } }\nupstream api {\nmember :9000\n\(line)\n}"
  default: ""
  }
}

/// The kind of check that a line of its block is for.
private func checkKind(of line: String) -> String {
  let kinds = [
    "send": "tcp", "expect": "tcp", "server_name": "tls", "user": "postgresql", "service": "grpc",
  ]
  if line.hasPrefix("command") { return "script" }
  return kinds[String(line.prefix { $0 != " " })] ?? "http"
}

@Suite("Examples")
struct ExampleTests {
  static let names = [
    "hello.conf", "reverse-proxy.conf", "virtual-hosts.conf", "headers.conf",
    "static-answers.conf", "production.conf", "layer4.conf",
  ]

  @Test("are read without a word, and stand in the usual form", arguments: names)
  func files(name: String) throws {
    let text = try repositoryFile("Examples/\(name)")
    let loaded = ConfigurationLoader.load(name: name, text: text)
    #expect(loaded.rendered() == "")
    #expect(loaded.configuration != nil)
    #expect(SourceText(name: name, text).formatted().text == text)
  }

  @Test("of the first start are the ones in the program")
  func hello() throws {
    #expect(try repositoryFile("Examples/hello.conf") == EdgeConfiguration.helloText)
    let configuration = try #require(
      ConfigurationLoader.load(name: "hello.conf", text: EdgeConfiguration.helloText).configuration
    )
    let members = try #require(configuration.upstream(named: "demo")).members.map(\.address)
    #expect(members.count == 3)
    #expect(members.allSatisfy(configuration.listeningAddresses.contains))
  }

  @Test("of directives can stand in a file", arguments: ConfigurationReference.blocks.map(\.name))
  func directives(block: String) throws {
    let reference = try #require(ConfigurationReference.blocks.first { $0.name == block })
    for directive in reference.directives {
      let text = whole(directive.example, in: block)
      let errors = ConfigurationLoader.load(name: directive.name, text: text).diagnostics
        .filter {
          $0.severity == .error && !$0.problem.hasPrefix("the configuration has no server")
        }
      #expect(errors == [], "\(directive.example)")
    }
  }

  @Test("of blocks other than a server's need one")
  func noServer() {
    let loaded = ConfigurationLoader.load(name: "a", text: "user a")
    #expect(loaded.diagnostics.map(\.problem) == ["the configuration has no server"])
  }
}

@Suite("The manual")
struct ManualTests {
  /// The blocks of code of a page with what stands behind their marks.
  private func blocks(of page: String) throws -> [(mark: String, text: String)] {
    var blocks: [(mark: String, text: String)] = []
    var isOpen = false
    for line in try repositoryFile(page).split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```") {
        isOpen.toggle()
        if isOpen { blocks.append((String(line.dropFirst(3)), "")) }
      } else if isOpen {
        blocks[blocks.count - 1].text += "\(line)\n"
      }
    }
    return blocks
  }

  @Test(
    "has no block that is not so",
    arguments: [
      ("docs/manual/configuration.md", 10), ("docs/manual/proxy-protocol.md", 3),
      ("docs/manual/layer4.md", 2), ("docs/manual/udp.md", 1), ("docs/manual/balancing.md", 4),
      ("docs/manual/limits.md", 5), ("docs/manual/queues.md", 1), ("docs/manual/overload.md", 3),
      ("docs/manual/failures.md", 3),
      ("docs/manual/health.md", 8), ("docs/manual/tls.md", 7), ("docs/manual/files.md", 3),
      ("docs/manual/cache.md", 6), ("docs/manual/compression.md", 6),
      ("docs/manual/websocket.md", 2), ("docs/manual/applications.md", 0),
      ("docs/manual/sessions.md", 0), ("docs/manual/gateways.md", 2),
    ]
  )
  func guide(page: String, count: Int) throws {
    var shown: String?
    let blocks = try blocks(of: page)
    #expect(blocks.count > count)
    for block in blocks {
      let words = block.mark.split(separator: " ")
      switch words.first {
      case "conf":
        let place = words.dropFirst().first.map(String.init) ?? "whole"
        let text = place == "whole" || place == "wrong" ? block.text : whole(block.text, in: place)
        let loaded = ConfigurationLoader.load(name: "edge.conf", text: text)
        shown = loaded.rendered()
        guard place != "wrong" else { continue }
        let problems = loaded.diagnostics.filter {
          place == "whole"
            || $0.severity == .error && $0.problem.hasPrefix("the configuration has no") == false
        }
        #expect(problems == [], "\(block.text)")
      case "console": #expect(shown.map { block.text.hasSuffix($0) } == true, "\(shown ?? "")")
      default: continue
      }
    }
  }

  @Test("begins with a configuration that is right")
  func readme() throws {
    let block = try #require(try blocks(of: "README.md").first { $0.text.hasPrefix("server ") })
    #expect(ConfigurationLoader.load(name: "shop.conf", text: block.text).rendered() == "")
  }

  @Test("has the directives as the program knows them")
  func reference() throws {
    let page = try repositoryFile("docs/reference/directives.md")
    #expect(page == ConfigurationReference.markdown)
  }

  @Test("names what a directive of several blocks is in each")
  func text() throws {
    let text = try #require(ConfigurationReference.text(named: "connect_timeout"))
    #expect(text.contains("Stands in `route`."))
    #expect(text.contains("Stands in `upstream`."))
    #expect(ConfigurationReference.text(named: "nothing") == nil)
    #expect(ConfigurationReference.nearest(to: "conect_timeout") == "connect_timeout")
    #expect(ConfigurationReference.text(named: "include")?.contains("sites/*.conf") == true)
  }
}
