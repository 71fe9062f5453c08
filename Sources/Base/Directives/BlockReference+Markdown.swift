extension BlockReference {
  /// What the manual says of the block, as a section of Markdown.
  public var markdown: String {
    let title = name == "file" ? "Outside of every block" : "In `\(name)`"
    let parts = ["## \(title)\n\n\(sentence)\n"] + directives.map(\.markdown)
    return parts.joined(separator: "\n")
  }
}

extension DirectiveReference {
  /// What the manual says of the directive, as a section of Markdown.
  var markdown: String {
    var lines = ["### `\(name)`", "", "```text", "\(name) \(form)", "```", "", sentence, ""]
    if let bounds { lines.append("- Values: \(bounds)") }
    if let defaultText { lines.append("- Default: \(Self.quoted(defaultText))") }
    if repeats { lines.append("- May stand several times.") }
    if lines.last != "" { lines.append("") }
    lines += ["```conf", example, "```", ""]
    return lines.joined(separator: "\n")
  }

  private static func quoted(_ text: String) -> String {
    text.contains(" ") ? text : "`\(text)`"
  }

  /// What `martlet reference NAME` prints of a directive of this block.
  ///
  /// - Parameter block: The name of the block.
  /// - Returns: Some lines, with a line end at the end.
  public func text(in block: String) -> String {
    let place = block == "file" ? "outside of every block" : "in `\(block)`"
    var lines = ["\(name) \(form)", "    \(sentence)", "    Stands \(place)."]
    if repeats { lines.append("    May stand several times.") }
    if let bounds { lines.append("    Values: \(bounds)") }
    if let defaultText { lines.append("    Default: \(defaultText)") }
    lines.append("    Example:")
    lines += example.split(separator: "\n").map { "        \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }
}
