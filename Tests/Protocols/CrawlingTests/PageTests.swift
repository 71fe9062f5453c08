import Crawling
import Testing

@Suite("Pages")
struct PageTests {
  /// RFC 3986, section 5.4, as far as it leads to pages.
  @Test(
    "are found by links that are relative to them",
    arguments: [
      ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"),
      ("/g", "http://a/g"), ("//g", "http://g/"), ("?y", "http://a/b/c/d;p?y"),
      ("g?y", "http://a/b/c/g?y"), ("#s", "http://a/b/c/d;p?q"), ("g#s", "http://a/b/c/g"),
      ("g?y#s", "http://a/b/c/g?y"), (";x", "http://a/b/c/;x"), ("", "http://a/b/c/d;p?q"),
      (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"),
      ("../g", "http://a/b/g"),
      ("../..", "http://a/"), ("../../../g", "http://a/g"), ("/./g", "http://a/g"),
      ("/../g", "http://a/g"), ("g..", "http://a/b/c/g.."), ("./g/.", "http://a/b/c/g/"),
      ("g/./h", "http://a/b/c/g/h"), ("g/../h", "http://a/b/c/h"),
      ("g?y/../x", "http://a/b/c/g?y/../x"),
      ("HTTP://B:80/x y", "http://b/x%20y"), ("https://B:443", "https://b/"),
      (" g\n", "http://a/b/c/g"), ("ü", "http://a/b/c/%C3%BC"),
    ]
  )
  func resolving(link: String, expected: String) throws {
    let page = try #require(PageAddress("http://a/b/c/d;p?q"))
    #expect(page.resolving(link)?.description == expected)
  }

  @Test(
    "are none where a link leads elsewhere",
    arguments: ["mailto:a@b", "g:h", "javascript:x()", "http://", "http://u@h/", "ftp://a/"]
  )
  func elsewhere(link: String) throws {
    let page = try #require(PageAddress("http://a/b/c/d;p?q"))
    #expect(page.resolving(link) == nil)
  }

  @Test("tell their title and their links")
  func scan() {
    let page = """
      <!DOCTYPE html><!-- <a href=no> --><html><head><Title lang=de>
      A &amp; B &#8211;\tC </title><title>no</title><base href="/root/"></head>
      <script>"<a href='no'>"</script><style><a href=no></style>
      <a href="one?a=1&amp;b=2">x</a><A class=x HREF = 'two'/><a href=three>y</a>
      <a rel="nofollow" href=no>z</a><a name=here>z</a><area href=four><abbr href=no></b><a href="
      """
    let scan = PageScan(Array(page.utf8))
    #expect(scan.title == "A & B – C")
    #expect(scan.links == ["one?a=1&b=2", "two", "three", "four"])
    #expect(scan.base == "/root/" && !scan.asksNotToFollow)
    let closed = PageScan(Array("<meta name=Robots content='NoIndex, NoFollow'><a href=x>".utf8))
    #expect(closed.asksNotToFollow && closed.links == ["x"] && closed.title == nil)
  }

  @Test("are read wherever they break off, and no further than to their limits")
  func broken() {
    let text = Array(
      "<a href='b'><title>t</title><!-- x --><script>y</script>&amp;<a href=\"c\">".utf8
    )
    for count in 0...text.count { _ = PageScan(Array(text.prefix(count))) }
    let many = Array(String(repeating: "<a href=x>", count: 6000).utf8)
    #expect(PageScan(many).links.count == PageScan.linkLimit)
    // What a careless reader looks through again and again.
    let open = Array(String(repeating: "<title>", count: 20_000).utf8)
    #expect(PageScan(open).title?.isEmpty == false)
  }
}
