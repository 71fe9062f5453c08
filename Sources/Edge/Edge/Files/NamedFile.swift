import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry
import StaticFiles

/// Which files the answers of a route's members may name, compiled.
final class NamedFilesPlan: Sendable {
  /// The field that names one.
  let field: [UInt8]
  /// What stands for the folder in its value.
  private let prefix: [UInt8]
  let files: FilesPlan

  /// Compiles what a route says, if it is one to members and says something.
  init?(
    _ route: RouteSettings,
    response: Route.FieldRules,
    files: inout [FilesPlan],
    _ layout: inout MetricLayout.Builder
  ) {
    guard case .proxy = route.handler, let settings = route.sendFile else { return nil }
    field = Array(settings.field.utf8)
    prefix = Array(settings.prefix.utf8)
    var folder = FilesSettings(root: settings.root)
    folder.indexNames = []
    self.files = FilesPlan(
      folder,
      index: files.count,
      response: response,
      dictionaries: [],
      &layout
    )
    files.append(self.files)
  }

  /// The path below the folder that a value of the field means; nil: it does not begin as it has to.
  func path(of value: Span<UInt8>) -> [UInt8]? {
    let end = ByteSearch.firstIndex(of: 0x3F, in: value, from: 0) ?? value.count
    guard end > prefix.count, value[prefix.count] == 0x2F else { return nil }
    for index in prefix.indices where value[index] != prefix[index] { return nil }
    return Array(copying: value.extracting(prefix.count..<end))
  }
}

/// A file that a member has named in the place of its answer.
struct NamedFile {
  let plan: NamedFilesPlan
  /// What the field says.
  let value: [UInt8]
  /// The type that the member has told; empty: none, then it is the file's own.
  var type: [UInt8] = []
  /// Whether the member tells caches something, which is said in the place of what the folder's rules say.
  var hasCacheControl = false
  /// The lines of the member's answer that are sent.
  var lines: [UInt8] = []

  /// Takes a line of the member's answer, unless the file itself knows that better.
  mutating func take(_ line: FieldLine, in answer: Span<UInt8>) {
    guard !line.isHopByHop, !Self.ofFile.contains(line, in: answer) else { return }
    if line.name == .contentType {
      type = Array(copying: answer.extracting(line.valueRange.range))
      return
    }
    if line.name == .cacheControl { hasCacheControl = true }
    lines.append(copying: answer.extracting(line.lineRange.range))
  }

  /// The lines of a representation without those that the member has said otherwise.
  func kept(of representation: [UInt8]) -> [UInt8] {
    guard !type.isEmpty || hasCacheControl else { return representation }
    let bytes = representation.span
    var kept: [UInt8] = []
    var start = 0
    while let end = ByteSearch.firstIndex(of: 0x0A, in: bytes, from: start) {
      let colon = ByteSearch.firstIndex(of: 0x3A, in: bytes, from: start) ?? start
      let name = FieldName(in: bytes, at: start, count: colon - start)
      let isReplaced =
        name == .contentType && !type.isEmpty || name == .cacheControl && hasCacheControl
      if !isReplaced { kept.append(copying: bytes.extracting(start..<end + 1)) }
      start = end + 1
    }
    return kept
  }

  /// What the type of a representation is.
  func type(of representation: Representation) -> [UInt8] {
    type.isEmpty ? representation.type : type
  }

  /// Writes what the member has said.
  func put(to out: inout Lent, withType: Bool) throws(ExchangeError) {
    if withType, !type.isEmpty {
      try out.put("Content-Type: ")
      try out.put(type)
      try out.put("\r\n")
    }
    try out.put(lines)
  }

  /// What is said of the bytes that are sent.
  private static let ofFile: FieldNameSet = {
    var names = FieldNameSet([
      .acceptRanges, .contentEncoding, .contentLength, .contentRange, .date, .eTag, .lastModified,
    ])
    for name in ["Content-Digest", "Content-MD5", "Digest", "Repr-Digest"] { names.insert(name) }
    return names
  }()
}

extension Hand {
  /// The lines of a representation that are sent with it.
  func kept(of lines: [UInt8]) -> [UInt8] { named?.kept(of: lines) ?? lines }
}

/// What is done in the place of passing an answer of a member on.
enum Diversion {
  /// A file that it names is sent.
  case file(NamedFile)
  /// A request goes on of which an authorizer has said this.
  case granted([Grant])
  /// Another place of this host answers, of this path and query.
  case place([UInt8])
}
