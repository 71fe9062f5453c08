extension SourceBundle {
  private static let mark = Array("MARTLET1".utf8)
  // A bundle's own limit, with room for names.
  private static let encodedBytes = maxBytes * 2

  private enum Kind: UInt8 {
    case main = 1
    case file = 2
    case missing = 3
    case list = 4
    case listed = 5
    case variable = 6
    case unset = 7
  }

  /// The bundle as bytes, the same for equal bundles.
  public func encoded() -> [UInt8] {
    var output = Self.mark
    func append(_ kind: Kind, _ name: String, _ value: [UInt8]) {
      output.append(kind.rawValue)
      for bytes in [Array(name.utf8), value] {
        let count = UInt32(clamping: bytes.count)
        output += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
        output += bytes
      }
    }
    append(.main, main, [])
    for (name, content) in files.sorted(by: { $0.key < $1.key }) {
      switch content {
      case .bytes(let bytes): append(.file, name, bytes)
      case .missing(let reason): append(.missing, name, Array(reason.utf8))
      }
    }
    for (pattern, paths) in lists.sorted(by: { $0.key < $1.key }) {
      append(.list, pattern, [])
      for path in paths { append(.listed, pattern, Array(path.utf8)) }
    }
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
      append(value == nil ? .unset : .variable, name, Array((value ?? "").utf8))
    }
    return output
  }

  /// Reads what ``encoded()`` wrote.
  ///
  /// - Returns: The bundle, or nil when the bytes are anything else.
  public init?(encoded bytes: [UInt8]) {
    guard bytes.count <= Self.encodedBytes, bytes.starts(with: Self.mark) else { return nil }
    var rest = bytes[Self.mark.count...]
    func field() -> ArraySlice<UInt8>? {
      guard rest.count >= 4 else { return nil }
      let count = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(4)
      guard rest.count >= count else { return nil }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    self.init(name: "", bytes: [])
    files = [:]
    var hasMain = false
    while let byte = rest.popFirst() {
      guard let kind = Kind(rawValue: byte), let nameBytes = field(), let value = field(),
        let name = String(validating: nameBytes, as: UTF8.self)
      else { return nil }
      if kind == .file {
        files[name] = .bytes(Array(value))
        continue
      }
      guard let text = String(validating: value, as: UTF8.self) else { return nil }
      switch kind {
      case .main:
        main = name
        hasMain = true
      case .file: break
      case .missing: files[name] = .missing(text)
      case .list: lists[name] = []
      case .listed: lists[name, default: []].append(text)
      case .variable: environment[name] = .some(text)
      case .unset: environment[name] = .some(nil)
      }
    }
    guard hasMain, files[main] != nil else { return nil }
  }
}
