public import Directives

/// Writes changes that were made at run time into the texts of a configuration.
///
/// It replaces the smallest parts that say what is different: comments, order and layout of all else
/// stay as they are. What it has written is read again, and must mean what is in force.
public struct ConfigurationEditor: Sendable {
  /// What became of the texts.
  public struct Edited: Sendable {
    /// All texts, those that are different among them.
    public var bundle: SourceBundle
    /// The names of the files that are different, sorted.
    public var names: [String]
  }

  /// One replacement in one text.
  private struct Edit {
    var name: String
    var start: Int
    var end: Int
    var text: String
  }

  private let bundle: SourceBundle
  private let layers: [RuntimeChanges]
  private var reading: Reading
  private var edits: [Edit] = []

  private init(_ bundle: SourceBundle, _ layers: [RuntimeChanges]) {
    self.bundle = bundle
    self.layers = layers
    reading = Reading(bundle)
  }

  /// Puts changes, later ones on top of earlier ones, into the texts of `bundle`.
  ///
  /// - Throws: ``ChangeError`` when a change cannot be written; the place is in its message.
  public static func write(
    _ layers: [RuntimeChanges],
    into bundle: SourceBundle
  ) throws(ChangeError) -> Edited {
    guard let base = ConfigurationLoader.load(bundle).configuration else {
      throw ChangeError(.wrongText, "the configuration has errors: `martlet check` tells them")
    }
    let wanted = base.applying(layers)
    var editor = ConfigurationEditor(bundle, layers)
    try editor.edit(from: base, to: wanted)
    let edited = editor.applied()
    let loaded = ConfigurationLoader.load(edited.bundle)
    guard let result = loaded.configuration else {
      throw ChangeError(
        .wrongText,
        "with the changes, the configuration would have errors:\n" + loaded.rendered()
      )
    }
    guard result.inOrder == wanted.inOrder else {
      throw ChangeError(.wrongText, "what would be written would not mean what is in force")
    }
    return edited
  }

  // MARK: What is different

  private mutating func edit(
    from base: EdgeConfiguration,
    to wanted: EdgeConfiguration
  ) throws(ChangeError) {
    let statements = reading.statements()
    var blocks: [String: Statement] = [:]
    for statement in statements where statement.title == "upstream" {
      if let name = statement.arguments.first?.text { blocks[name] = statement }
    }
    for before in base.upstreams {
      let after = wanted.upstream(named: before.name)
      guard after != before else { continue }
      guard let block = blocks[before.name], let inner = block.block else {
        throw ChangeError(
          .wrongText,
          "the upstream `\(before.name)` was made by `proxy` with addresses: write `upstream NAME` "
            + "with these members into the configuration, then its changes can be written"
        )
      }
      if let after, after.withoutMembers == before.withoutMembers {
        try edit(block, inner, from: before.members, to: after.members)
      } else {
        remove(block)
        if let after { try add(after) }
      }
    }
    for after in wanted.upstreams where base.upstream(named: after.name) == nil { try add(after) }
  }

  /// Puts an upstream that was added behind everything else.
  private mutating func add(_ upstream: UpstreamSettings) throws(ChangeError) {
    let added = layers.reversed().compactMap { $0[upstream.name].added }.first
    guard let added, case .bytes(let bytes)? = bundle.files[bundle.main] else { return }
    let (lines, written) = (added.text, added.settings)
    let indented = lines.split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.isEmpty ? "" : "    \($0)" }.joined(separator: "\n")
    let own = "upstream \(Self.quoted(upstream.name)) {\n\(indented)\n}\n"
    var editor = ConfigurationEditor(SourceBundle(name: upstream.name, text: own), layers)
    if let block = editor.reading.statements().first, let inner = block.block {
      try editor.edit(block, inner, from: written.members, to: upstream.members)
    }
    let start = bytes.isEmpty || bytes.last == 0x0A ? "\n" : "\n\n"
    let text = start + editor.text(of: upstream.name)
    edits.append(Edit(name: bundle.main, start: bytes.count, end: bytes.count, text: text))
  }

  /// The line of a member that was added to an upstream.
  private func line(of member: MemberSettings, in upstream: String) -> String {
    let added = layers.reversed().compactMap { $0[upstream][member.address].added }.first
    let own = "member \(added?.text ?? member.address.description)"
    var editor = ConfigurationEditor(SourceBundle(name: "member", text: own), layers)
    if let statement = editor.reading.statements().first, let added {
      editor.edit(statement, from: added.settings, to: member, in: upstream)
    }
    return editor.text(of: "member")
  }

  private func text(of name: String) -> String {
    guard case .bytes(let bytes)? = applied().bundle.files[name] else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A name as one word.
  private static func quoted(_ name: String) -> String {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
      default: false
      }
    }
    guard !isPlain || name.isEmpty else { return name }
    return "\"\(name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
  }

  private mutating func edit(
    _ block: Statement,
    _ statements: [Statement],
    from before: [MemberSettings],
    to after: [MemberSettings]
  ) throws(ChangeError) {
    let written = statements.filter { $0.title == "member" }
    guard written.count == before.count else {
      throw ChangeError(
        .wrongText,
        "the members of `\(reading.raw(block.range))` are not understood"
      )
    }
    let name = block.arguments.first?.text ?? ""
    let known = Set(before.map(\.address))
    for (statement, member) in zip(written, before) {
      guard let next = after.first(where: { $0.address == member.address }) else {
        remove(statement)
        continue
      }
      edit(statement, from: member, to: next, in: name)
    }
    let news = after.filter { !known.contains($0.address) }
    guard !news.isEmpty else { return }
    insert(news.map { line(of: $0, in: name) }, behind: written.last, in: block)
  }

  // MARK: Members

  private mutating func edit(
    _ statement: Statement,
    from before: MemberSettings,
    to after: MemberSettings,
    in upstream: String
  ) {
    var rest = before
    rest.weight = after.weight
    rest.mode = after.mode
    guard rest == after else {
      // It was removed and added with other options.
      replace(statement.range, by: line(of: after, in: upstream))
      return
    }
    if before.weight != after.weight {
      set("weight", to: "\(after.weight)", in: statement)
    }
    if before.mode != after.mode { set("mode", to: after.mode.rawValue, in: statement) }
  }

  /// Gives an option of a member another value.
  private mutating func set(_ option: String, to value: String, in statement: Statement) {
    let words = statement.arguments
    if let index = words.dropFirst().firstIndex(where: { $0.text == option }),
      index + 1 < words.count
    {
      replace(words[index + 1].range, by: value)
    } else if let first = words.first {
      insert(" \(option) \(value)", at: first.range)
    }
  }

  private mutating func replace(_ range: SourceRange, by text: String) {
    edits.append(Edit(name: name(of: range), start: range.start, end: range.end, text: text))
  }

  private mutating func insert(_ text: String, at range: SourceRange) {
    edits.append(Edit(name: name(of: range), start: range.end, end: range.end, text: text))
  }

  private func name(of range: SourceRange) -> String { reading.sources[range.source].name }

  // MARK: Lines

  /// Puts lines behind a statement of a block, or at its start.
  private mutating func insert(_ lines: [String], behind last: Statement?, in block: Statement) {
    guard let opening = block.blockRange else { return }
    let range =
      last?.range
      ?? SourceRange(source: opening.source, start: opening.start, end: opening.start + 1)
    let bytes = reading.sources[range.source].bytes
    let margin = last.flatMap { Self.margin(before: $0.range.start, in: bytes) }
    let outer = Self.margin(
      before: block.range.start,
      in: reading.sources[block.range.source].bytes
    )
    let inner = margin ?? (outer ?? "") + "    "
    if let end = Self.lineEnd(behind: range.end, in: bytes) {
      let text = lines.map { "\(inner)\($0)\n" }.joined()
      edits.append(Edit(name: name(of: range), start: end, end: end, text: text))
    } else {
      // The block stands on one line, or goes on behind the member: what follows begins a new one.
      let text = lines.map { "\n\(outer ?? "")    \($0)" }.joined() + "\n\(outer ?? "")"
      var end = range.end
      while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x09 { end += 1 }
      edits.append(Edit(name: name(of: range), start: range.end, end: end, text: text))
    }
  }

  /// Takes a statement out, with its block, and with its line where it stands alone there.
  private mutating func remove(_ statement: Statement) {
    let source = statement.range.source
    let bytes = reading.sources[source].bytes
    var start = statement.range.start
    var end = statement.blockRange?.end ?? statement.range.end
    if Self.margin(before: start, in: bytes) != nil,
      let lineEnd = Self.lineEnd(behind: end, in: bytes)
    {
      while start > 0, bytes[start - 1] != 0x0A { start -= 1 }
      end = lineEnd
    } else {
      while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x09 { end += 1 }
    }
    edits.append(Edit(name: name(of: statement.range), start: start, end: end, text: ""))
  }

  /// The white space between the start of a line and `offset`; nil if something else stands there.
  private static func margin(before offset: Int, in bytes: [UInt8]) -> String? {
    var start = offset
    while start > 0, bytes[start - 1] == 0x20 || bytes[start - 1] == 0x09 { start -= 1 }
    guard start == 0 || bytes[start - 1] == 0x0A else { return nil }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  /// The start of the next line, if nothing but white space and a comment stands before it; the end of
  /// a text counts as one only behind a line end.
  private static func lineEnd(behind offset: Int, in bytes: [UInt8]) -> Int? {
    var end = offset
    while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x09 || bytes[end] == 0x0D {
      end += 1
    }
    if end < bytes.count, bytes[end] == UInt8(ascii: "#") {
      while end < bytes.count, bytes[end] != 0x0A { end += 1 }
    }
    guard end < bytes.count, bytes[end] == 0x0A else { return nil }
    return end + 1
  }

  // MARK: The texts

  private func applied() -> Edited {
    var result = bundle
    for (name, edits) in Dictionary(grouping: edits, by: \.name) {
      guard case .bytes(var bytes)? = bundle.files[name] else { continue }
      // From the end on, so that earlier places stay where they are; of two at one place the one that
      // was made later comes first.
      let sorted = edits.enumerated().sorted {
        ($0.element.start, $0.offset) > ($1.element.start, $1.offset)
      }
      for (_, edit) in sorted { bytes.replaceSubrange(edit.start..<edit.end, with: edit.text.utf8) }
      result.files[name] = .bytes(bytes)
    }
    let names = Set(edits.map(\.name)).filter { result.files[$0] != bundle.files[$0] }
    return Edited(bundle: result, names: names.sorted())
  }
}

extension UpstreamSettings {
  fileprivate var withoutMembers: UpstreamSettings {
    var settings = self
    settings.members = []
    return settings
  }
}

extension EdgeConfiguration {
  /// The configuration with upstreams and members in an order that does not depend on who was added
  /// when.
  fileprivate var inOrder: EdgeConfiguration {
    var result = self
    result.upstreams.sort { $0.name < $1.name }
    for index in result.upstreams.indices {
      result.upstreams[index].members.sort { $0.address.description < $1.address.description }
    }
    return result
  }
}
