/// A folder as a page, which needs no script: its columns are sorted by links.
///
/// Names are whatever somebody has called files: each is written as text, or as a path with everything escaped
/// that is not of a name.
public struct FolderPage: Sendable {
  private let listing: FolderListing

  /// Creates the page of a listing.
  public init(_ listing: FolderListing) { self.listing = listing }

  /// The page, in HTML.
  public var text: String {
    let title = "/" + listing.path
    var page = Self.beginning
    page += "<title>\(Self.escaped(title))</title>\n<style>\n\(Self.style)</style>\n<main>\n"
    page += "<h1>\(crumbs)</h1>\n<table>\n<thead><tr>"
    page += heading(.name, "Name") + heading(.size, "Size") + heading(.time, "Changed")
    page += "</tr></thead>\n<tbody>\n"
    if !listing.path.isEmpty {
      page += "<tr class=\"d\"><td><a href=\"../\">..</a><td><td>\n"
    }
    for item in listing.items { page += row(item) }
    page += "</tbody>\n</table>\n<p>\(summary)</p>\n</main>\n</html>\n"
    return page
  }

  /// What the page may do: show itself.
  public static let policy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

  private var crumbs: String {
    let names = listing.path.split(separator: "/")
    guard !names.isEmpty else { return "/" }
    var crumbs = "<a href=\"\(String(repeating: "../", count: names.count))\">/</a>"
    for (index, name) in names.enumerated() {
      let up = names.count - 1 - index
      let text = Self.escaped(String(name))
      crumbs +=
        up == 0
        ? "<b>\(text)</b>"
        : "<a href=\"\(String(repeating: "../", count: up))\">\(text)</a>/"
    }
    return crumbs
  }

  private func heading(_ order: FolderListing.Order, _ text: String) -> String {
    let isOwn = listing.order == order
    let next = isOwn && !listing.isDescending ? "&amp;order=desc" : ""
    let mark = isOwn ? (listing.isDescending ? " ↓" : " ↑") : ""
    let sorted = listing.isDescending ? "descending" : "ascending"
    let state = isOwn ? " aria-sort=\"\(sorted)\"" : ""
    return "<th\(state)><a href=\"?sort=\(order.rawValue)\(next)\">\(text)\(mark)</a></th>"
  }

  private func row(_ item: FolderListing.Item) -> String {
    let end = item.isFolder ? "/" : ""
    let size = item.isFolder ? "" : Self.size(item.byteCount)
    let time = FolderListing.time(item.modifiedSeconds)
    // `./` keeps a name with a colon from being a scheme.
    return
      "<tr\(item.isFolder ? " class=\"d\"" : "")><td><a href=\"./\(Self.path(item.name))\(end)\">"
      + "\(Self.escaped(item.name))\(end)</a><td>\(size)<td>\(time)\n"
  }

  private var summary: String {
    let folders = listing.items.count(where: \.isFolder)
    let files = listing.items.count - folders
    let bytes = listing.items.reduce(Int64(0)) { $0 + ($1.isFolder ? 0 : $1.byteCount) }
    let more = listing.isCut ? " There are more, which are not shown." : ""
    return "\(folders) \(folders == 1 ? "folder" : "folders"), \(files) "
      + "\(files == 1 ? "file" : "files"), \(Self.size(bytes)).\(more)"
  }

  /// `1.2 KB`; 1 KB has 1,024 bytes.
  static func size(_ bytes: Int64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB", "PB"]
    var tenths = bytes > .max / 10 ? Int64.max : bytes * 10
    var unit = 0
    while tenths >= 10_240, unit < units.count - 1 {
      tenths = (tenths + 512) / 1024
      unit += 1
    }
    let whole = tenths / 10
    return unit == 0 || whole >= 100
      ? "\(whole) \(units[unit])" : "\(whole).\(tenths % 10) \(units[unit])"
  }

  /// A text within a page or an attribute of it.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A name within a path: everything but letters, digits, `-`, `.`, `_` and `~` is escaped.
  static func path(_ name: String) -> String {
    var result = ""
    for byte in name.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        result += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return result
  }

  private static let beginning = """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">

    """

  private static let style = """
    :root { color-scheme: light dark; --ink: #1d2733; --paper: #fbfaf7; --line: #e3e0d8;
            --dim: #66707b; --link: #2b5a8c; --hover: #f1efe8; }
    @media (prefers-color-scheme: dark) {
      :root { --ink: #dfe3e8; --paper: #15191e; --line: #2b323a; --dim: #98a2ad;
              --link: #8db8e6; --hover: #1d232a; } }
    body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
    main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem; }
    h1 { font-size: 1.25rem; font-weight: 400; overflow-wrap: anywhere; margin: 0 0 1rem; }
    a { color: var(--link); text-decoration: none; }
    a:hover { text-decoration: underline; }
    table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
    th { text-align: left; font-weight: 400; }
    th a { color: var(--dim); }
    th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
    td:first-child { overflow-wrap: anywhere; }
    th + th, td + td { text-align: right; white-space: nowrap; color: var(--dim); }
    tbody tr:hover { background: var(--hover); }
    .d a { font-weight: 600; }
    p { color: var(--dim); }
    @media (max-width: 34rem) { th:nth-child(3), td:nth-child(3) { display: none; } }

    """
}
