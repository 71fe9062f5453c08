import MartletBytes

/// The fields that every connection knows from the beginning.
///
/// - Source: RFC 7541, appendix A.
struct StaticFields: Sendable {
  /// The one table that all connections share.
  static let shared = StaticFields()
  /// The first number that is of a connection's own table.
  static let count = 61
  /// Where the names that answers and requests begin with stand.
  static let authority = 1
  static let methodGet = 2
  static let methodPost = 3
  static let path = 4
  static let schemeHTTP = 6
  static let schemeHTTPS = 7
  static let status = 8

  /// The lines, as ``FieldTable`` keeps them; an entry begins where it says.
  let bytes: [UInt8]
  private let entries: [FieldTable.Entry]
  /// The numbers of names, found by ``place(of:)``; 0: none.
  private let places: [UInt8]

  private init() {
    var bytes: [UInt8] = []
    var entries: [FieldTable.Entry] = []
    var places = [UInt8](repeating: 0, count: 256)
    for (index, (name, value)) in Self.fields.enumerated() {
      let text = Array(name.utf8)
      let line = text + [0x3A, 0x20] + Array(value.utf8)
      entries.append(
        FieldTable.Entry(
          start: bytes.count,
          lineCount: line.count,
          nameCount: text.count,
          kind: FieldKind(text.span, name: text.indices)
        )
      )
      bytes += line
      if index > 0, Self.fields[index - 1].0 == name { continue }
      var place = Self.place(of: text.span)
      while places[place] != 0 { place = (place + 1) & 255 }
      places[place] = UInt8(index + 1)
    }
    self.bytes = bytes
    self.entries = entries
    self.places = places
  }

  /// The entry with a number from 1 to ``count``.
  func entry(_ index: Int) -> FieldTable.Entry { entries[index - 1] }

  /// Appends the name of an entry.
  func copyName(_ entry: FieldTable.Entry, into out: inout [UInt8]) {
    out.append(copying: bytes.span.extracting(entry.start..<entry.start + entry.nameCount))
  }

  /// The number of a name in lower case; 0 when it has none.
  func number(ofName name: Span<UInt8>) -> Int {
    guard !name.isEmpty else { return 0 }
    var place = Self.place(of: name)
    while places[place] != 0 {
      let entry = entries[Int(places[place]) - 1]
      if entry.nameCount == name.count {
        var index = 0
        while index < name.count, bytes[entry.start + index] == name[index] { index += 1 }
        if index == name.count { return Int(places[place]) }
      }
      place = (place + 1) & 255
    }
    return 0
  }

  private static func place(of name: Span<UInt8>) -> Int {
    let first = Int(name[0])
    let last = Int(name[name.count - 1])
    let middle = Int(name[name.count / 2])
    return (name.count &* 37 &+ first &* 5 &+ middle &* 11 &+ last &* 17) & 255
  }

  private static let fields: [(String, String)] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
  ]
}
