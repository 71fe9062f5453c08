import Configuration
import Foundation
import HTTPMessage
import StaticFiles
import Testing

@Suite("Folders that are shown") struct FolderListingTests {
  private let items = [
    FolderListing.Item(name: "b.txt", isFolder: false, byteCount: 2048, modifiedSeconds: 86_400),
    FolderListing.Item(name: "A.txt", isFolder: false, byteCount: 5, modifiedSeconds: 172_800),
    FolderListing.Item(name: "z", isFolder: true, byteCount: 4096, modifiedSeconds: 0),
  ]

  @Test("folders come first, and files in the order asked for")
  func order() {
    var listing = FolderListing(path: "a/b", items: items)
    func names() -> [String] { listing.items.map(\.name) }
    #expect(names() == ["z", "A.txt", "b.txt"])
    listing.sort(by: .name, isDescending: true)
    #expect(names() == ["z", "b.txt", "A.txt"])
    listing.sort(by: .size, isDescending: true)
    #expect(names() == ["z", "b.txt", "A.txt"])
    listing.sort(by: .time, isDescending: false)
    #expect(names() == ["z", "b.txt", "A.txt"])
    listing.sort(by: .time, isDescending: true)
    #expect(names() == ["z", "A.txt", "b.txt"])
  }

  @Test("a page has every item, its size and its time, and links that sort")
  func page() {
    let page = FolderPage(FolderListing(path: "a/b", items: items)).text
    #expect(page.contains("<a href=\"./b.txt\">b.txt</a><td>2.0 KB<td>1970-01-02 00:00"))
    #expect(page.contains("<a href=\"./z/\">z/</a>"))
    #expect(page.contains("<a href=\"../\">..</a>"))
    #expect(page.contains("<a href=\"../../\">/</a><a href=\"../\">a</a>/<b>b</b>"))
    #expect(page.contains("?sort=name&amp;order=desc"))
    #expect(page.contains("?sort=size\""))
    #expect(page.contains("1 folder, 2 files, 2.0 KB"))
    #expect(!page.contains("<script"))
    #expect(!FolderPage(FolderListing(path: "", items: [])).text.contains("href=\"../\""))
  }

  @Test(
    "names are text, whatever they say",
    arguments: [
      ("<script>alert(1)</script>", "%3Cscript%3Ealert%281%29%3C%2Fscript%3E", "&lt;script&gt;"),
      ("a\"b'c&d", "a%22b%27c%26d", "a&quot;b&#39;c&amp;d"),
      ("javascript:alert(1)", "javascript%3Aalert%281%29", "javascript:alert(1)"),
      ("ä ö?#%", "%C3%A4%20%C3%B6%3F%23%25", "ä ö?#%"),
    ]
  )
  func escapes(name: String, path: String, text: String) {
    let item = FolderListing.Item(name: name, isFolder: false, byteCount: 0, modifiedSeconds: 0)
    let page = FolderPage(FolderListing(path: name, items: [item])).text
    #expect(page.contains("<a href=\"./\(path)\">"))
    #expect(page.contains(text))
    #expect(!page.contains("<script>"))
  }

  @Test("programs get JSON")
  func json() throws {
    let text = FolderListing(path: "a", items: items).json
    let read = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
    #expect(read?.count == 3)
    #expect(read?[0]["type"] as? String == "directory")
    #expect(read?[1]["size"] as? Int == 5)
    #expect(read?[1]["modified"] as? String == "1970-01-03T00:00:00Z")
  }

  @Test("reading leaves out what no request may have")
  func reading() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("martlet-listing-\(UInt64.random(in: 0 ..< .max))")
    defer { do { try FileManager.default.removeItem(at: folder) } catch {} }
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("sub"),
      withIntermediateDirectories: true
    )
    for name in ["a.txt", ".hidden", "back\\slash", "line\nbreak", "ä"] {
      try Data("text".utf8).write(to: folder.appendingPathComponent(name))
    }
    let path = folder.path
    try FileManager.default.createSymbolicLink(
      atPath: path + "/out",
      withDestinationPath: "/etc/passwd"
    )
    try FileManager.default.createSymbolicLink(atPath: path + "/in", withDestinationPath: "a.txt")
    let isMade = unsafe mkfifo(path + "/pipe", 0o600) == 0
    #expect(isMade)
    let rules = FileRules(FilesSettings(root: path))
    let listing = try FolderListing.read(RelativePath(), by: rules)
    #expect(listing.items.map(\.name) == ["sub", "a.txt", "in", "ä"])
    #expect(listing.items.first { $0.name == "in" }?.byteCount == 4)
  }
}
