import StaticFiles
import Testing

@Suite("Media types") struct MediaTypeTests {
  private func type(_ name: String, _ types: MediaTypes = MediaTypes()) -> String? {
    types.type(ofName: Array(name.utf8))
  }

  @Test(
    "the ending of a name says what it is",
    arguments: [
      ("index.html", "text/html; charset=utf-8"), ("a.CSS", "text/css; charset=utf-8"),
      ("a.js", "text/javascript; charset=utf-8"), ("a.mjs", "text/javascript; charset=utf-8"),
      ("a.json", "application/json"), ("a.svg", "image/svg+xml"), ("a.woff2", "font/woff2"),
      ("a.wasm", "application/wasm"), ("a.xml", "application/xml"), ("a.png", "image/png"),
      ("a.tar.gz", "application/gzip"), ("a.min.js", "text/javascript; charset=utf-8"),
      ("README", "application/octet-stream"), ("a.unheard-of", "application/octet-stream"),
      ("a.", "application/octet-stream"), ("a.webmanifest", "application/manifest+json"),
      ("a.avif", "image/avif"), ("a.mp4", "video/mp4"), ("a.pdf", "application/pdf"),
    ]
  )
  func known(name: String, expected: String) {
    #expect(type(name) == expected)
  }

  @Test("a table can be added to, and say less")
  func settings() {
    let own = MediaTypes(
      adding: [
        ("GLSL", "text/plain"), ("html", "text/html; charset=iso-8859-1"), ("tar.gz", "x/y"),
      ],
      fallback: nil,
      charset: "utf-16"
    )
    #expect(type("a.glsl", own) == "text/plain; charset=utf-16")
    #expect(type("a.html", own) == "text/html; charset=iso-8859-1")
    #expect(type("a.tar.gz", own) == "x/y")
    #expect(type("a.txt", own) == "text/plain; charset=utf-16")
    #expect(type("README", own) == nil)
    #expect(type("a.txt", MediaTypes(charset: nil)) == "text/plain")
  }
}
