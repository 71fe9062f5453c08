import Compression
import HTTPMessage
import Testing

@Suite("Bodies that were coded before")
struct CodedBodiesTests {
  private final class Source {}
  private let gzip = BodyCoder.Kind(.gzip, level: 5, length: 100)
  private let brotli = BodyCoder.Kind(.brotli, level: 4, length: 100)

  private func keep(_ bodies: CodedBodies<String>, _ text: String, _ source: Source, _ count: Int) {
    bodies.keep(text, of: source, gzip, byteCount: count, plainCount: 7)
  }

  @Test("are found by their source and the coder")
  func finds() {
    let bodies = CodedBodies<String>(limit: 1 << 20)
    let (one, two) = (Source(), Source())
    keep(bodies, "a", one, 100)
    let found = bodies.body(of: one, gzip)
    #expect(found?.body == "a" && found?.plainCount == 7)
    #expect(bodies.body(of: one, brotli) == nil && bodies.body(of: two, gzip) == nil)
    keep(bodies, "b", one, 200)
    #expect(bodies.body(of: one, gzip)?.body == "b")
    #expect((200...1000).contains(bodies.byteCount))
    bodies.removeAll()
    #expect(bodies.body(of: one, gzip) == nil && bodies.byteCount == 0)
  }

  @Test("are never another source's, though that stands in the same place of the memory")
  func places() {
    let bodies = CodedBodies<Int>(limit: 1 << 30)
    for round in 0..<1000 {
      let source = Source()
      #expect(bodies.body(of: source, gzip) == nil)
      bodies.keep(round, of: source, gzip, byteCount: 10, plainCount: 0)
      #expect(bodies.body(of: source, gzip)?.body == round)
    }
  }

  @Test("take no more memory than they may, and stay while they are asked for")
  func limit() {
    let bodies = CodedBodies<String>(limit: 100_000)
    let wanted = Source()
    keep(bodies, "wanted", wanted, 1000)
    var sources: [Source] = []
    for _ in 0..<500 {
      let source = Source()
      sources.append(source)
      keep(bodies, "other", source, 1000)
      #expect(bodies.byteCount <= 100_000)
      #expect(bodies.body(of: wanted, gzip)?.body == "wanted")
    }
    #expect(sources.count { bodies.body(of: $0, gzip) != nil } < 100)
    keep(bodies, "large", sources[0], 50_000)
    #expect(bodies.body(of: sources[0], gzip)?.body != "large")
    bodies.limit = 10
    #expect(bodies.byteCount == 0)
  }
}
