import MartletHandlers
import MartletServer
import Testing

@Suite("Martlet in a program")
struct ServerTests {
  private let hello = Routes { $0.get("/") { try await $1.send("hello") } }

  private func fault(_ configuration: String, _ handlers: [String: Routes] = [:]) -> String? {
    do throws(ServerFault) {
      _ = try Server(configuration, handlers: handlers)
      return nil
    } catch {
      return error.description
    }
  }

  @Test("a configuration is taken whose handlers are there")
  func taken() {
    #expect(fault("server { listen :80\n route / { handler a } }", ["a": hello]) == nil)
    #expect(fault("server { listen :80\n route / { respond 200 } }") == nil)
  }

  @Test(
    "what a program by itself cannot do is refused, and said",
    arguments: [
      ("server { listen :80\n route / { handler a } }", "there are none"),
      ("server { listn :80 }", "there is no directive `listn`"),
      ("server { listen :80\n route / { app a } }\napp a { wsgi a:app }", "needs processes"),
    ]
  )
  func refused(configuration: String, part: String) throws {
    #expect(try #require(fault(configuration)).contains(part))
  }

  @Test("a handler that is missing is named, with those that are there")
  func missing() throws {
    let text = try #require(fault("server { listen :80\n route / { handler b } }", ["a": hello]))
    #expect(text.contains("`handler b`") || text.contains("handler b"))
    #expect(text.contains("`a`"))
  }
}
