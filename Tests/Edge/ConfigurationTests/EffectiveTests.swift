import Configuration
import Directives
import Testing

@Suite("The effective configuration")
struct EffectiveTests {
  private func effective(_ text: String, _ environment: [String: String] = [:]) throws -> JSONValue
  {
    let bundle = SourceBundle.collected(
      name: "a.conf",
      text: text,
      BundleTests.access([:], environment)
    )
    let loaded = ConfigurationLoader.load(bundle)
    #expect(loaded.rendered() == "")
    return try #require(loaded.effective)
  }

  private func first(_ name: String, in value: JSONValue?) throws -> JSONValue {
    guard case .list(let values)? = value?[name] else { return .null }
    return try #require(values.first)
  }

  @Test("has every setting with the value in force")
  func complete() throws {
    let text = """
      server { listen :80 tls
      compress
      decompress
      cache main
      certificate a.pem
      tls auto { client_certificate optional
      client_authorities a.pem
      client_revoked b.pem
      ticket_secret c }
      route / { proxy api
      cache main } }
      server { listen :83
      route / { app shop } }
      cache main
      sessions shop
      app shop { wsgi shop:app }
      upstream api { member 127.0.0.1:1
      tls { server_name a
      certificate a.pem
      authorities b.pem
      revoked c.pem }
      breaker { failures 10% } }
      tcp { listen :81
      proxy 127.0.0.1:1
      route { close } }
      udp { listen :82
      proxy 127.0.0.1:1 }
      certificates { authority https://a.example/dir }
      """
    let whole = try effective(text)
    let server = try first("server", in: whole)
    let upstream = try first("upstream", in: whole)
    let route = try first("route", in: server)
    let inner: Set = [
      "route", "overload", "queue", "check", "eject", "files", "cors", "dictionary", "fastcgi",
      "authorize",
    ]
    let shown = [
      "file": whole, "server": server, "tcp": try first("tcp", in: whole), "upstream": upstream,
      "app": try first("app", in: whole), "cache": try first("cache", in: whole),
      "route cache": route["cache"] ?? .null, "sessions": try first("sessions", in: whole),
      "certificates": whole["certificates"] ?? .null,
      "authority": try first("authority", in: whole["certificates"]),
      "upstream tls": upstream["tls"] ?? .null, "udp": try first("udp", in: whole),
      "tcp route": try first("route", in: first("tcp", in: whole)),
    ]
    for block in ConfigurationReference.blocks where !inner.contains(block.name) {
      let shown = shown[block.name] ?? server[block.name] ?? upstream[block.name]
      for directive in block.directives {
        #expect(shown?[directive.name] != nil, "\(block.name)/\(directive.name)")
      }
    }
    #expect(whole["drain_limit"] == .text("30s"))
    #expect(server["body_limit"] == .text("1MB"))
    #expect(server["access_log"] == .null)
    #expect(upstream["name"] == .text("api"))
    #expect(try first("member", in: upstream)["weight"] == .number(1))
  }

  @Test("has every setting of a dictionary")
  func dictionaries() throws {
    let text = "server { listen :80\n compress { dictionary /a.dict }\n route / { respond 200 } }"
    let server = try first("server", in: effective(text))
    let shown = try first("dictionary", in: server["compress"])
    let block = try #require(ConfigurationReference.blocks.first { $0.name == "dictionary" })
    for directive in block.directives {
      #expect(shown[directive.name] != nil, "\(directive.name)")
    }
    #expect(shown["path"] == .text("/a.dict") && shown["match"] == .text("/*"))
  }

  @Test("has every setting of files")
  func files() throws {
    let server = try first(
      "server",
      in: effective("server { listen :80\n route / { files /srv } }")
    )
    let shown = try first("route", in: server)["files"]
    let block = try #require(ConfigurationReference.blocks.first { $0.name == "files" })
    for directive in block.directives {
      #expect(shown?[directive.name] != nil, "\(directive.name)")
    }
    #expect(shown?["root"] == .text("/srv"))
    #expect(shown?["links"] == .text("inside"))
  }

  @Test("has every setting of an application", arguments: ["fastcgi", "scgi", "uwsgi"])
  func gateways(name: String) throws {
    let text = "server { listen :80\n route / { \(name) 127.0.0.1:9000 { root /srv/ } } }"
    let whole = try effective(text)
    let shown = try first("route", in: first("server", in: whole))[name]
    let block = try #require(ConfigurationReference.blocks.first { $0.name == "fastcgi" })
    for directive in block.directives {
      #expect(shown?[directive.name] != nil, "\(directive.name)")
    }
    #expect(shown?["upstream"] == .text("127.0.0.1:9000") && shown?["root"] == .text("/srv/"))
  }

  @Test("has every setting of a check and of an ejection")
  func health() throws {
    let text =
      "upstream api { member :1\n check http\n eject }\nserver { listen :80\n route / { proxy api } }"
    let upstream = try first("upstream", in: effective(text))
    for name in ["check", "eject"] {
      let block = try #require(ConfigurationReference.blocks.first { $0.name == name })
      let shown = try #require(upstream[name])
      for directive in block.directives {
        #expect(shown[directive.name] != nil, "\(directive.name)")
      }
    }
    #expect(upstream["check"]?["kind"] == .text("http"))
    #expect(upstream["check"]?["jitter"] == .number(10))
    #expect(upstream["eject"]?["failures"] == .number(5))
    #expect(upstream["eject"]?["deviation"] == .null)
  }

  @Test("shows of a route what it has of its own")
  func routes() throws {
    let text = "server { listen :80\n route = /a { proxy :1\n tries 1 } }"
    let route = try first("route", in: first("server", in: effective(text)))
    #expect(route["path"] == .text("/a"))
    #expect(route["tries"] == .number(1))
    #expect(route["read_timeout"] == nil)
    #expect(route["respond"] == nil)
  }

  @Test("hides every text, name and address that came from elsewhere")
  func hidden() throws {
    let text = """
      server {env NAME} {
        listen {env ADDRESS}:80
        via {env NAME}
        idle_timeout {env TIME}
        error_page 404 {env NAME} type text/{env NAME}
        route /{env NAME}/* {
          header {env NAME} {env NAME}
          query {env NAME}
          proxy {env ADDRESS}:81
          strip_prefix /{env NAME}
          rewrite /{env NAME}
          request header add {env NAME} {env NAME}
        }
        route / { redirect 302 /{env NAME} }
      }
      """
    let shown = try effective(text, ["NAME": "hunter2", "ADDRESS": "192.0.2.77", "TIME": "8s"])
    #expect(!shown.formatted().contains("hunter2"))
    #expect(!shown.formatted().contains("192.0.2.77"))
    #expect(try first("server", in: shown)["idle_timeout"] == .text("8s"))
    #expect(shown["drain_limit"] == .text("30s"))
  }
}
