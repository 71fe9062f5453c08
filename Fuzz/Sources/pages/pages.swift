import Crawling
import Invariants

/// Called by libFuzzer with each input: a page, and the rules of its site.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let scan = PageScan(bytes)
  require(scan.links.count <= PageScan.linkLimit, "links are bounded")
  require(
    scan.title?.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } ?? true,
    "a title commands no terminal"
  )
  let rules = RobotRules(bytes, for: "martlet")
  require(rules.allow("/robots.txt"), "the rules themselves may be asked for")
  guard let page = PageAddress("http://a.example/b/c?d") else { return 0 }
  for link in scan.links + [String(decoding: bytes.prefix(200), as: UTF8.self)] {
    guard let address = page.resolving(link) else { continue }
    require(address.target.hasPrefix("/"), "a target begins with a slash")
    let isPlain = address.description.utf8.allSatisfy { 0x21...0x7E ~= $0 }
    require(isPlain, "what is asked for is no two lines")
    require(PageAddress(address.description) == address, "what is written is read again")
    _ = rules.allow(address.target)
  }
  return 0
}
