public import Directives

/// The manual of the language, from the tables that read it.
public enum ConfigurationReference {
  /// The blocks with their directives, outer ones first.
  public static var blocks: [BlockReference] { ConfigurationLoader.references }

  /// The names of all directives, for completion in a shell.
  public static var names: [String] {
    Set(blocks.flatMap(\.directives).map(\.name) + ["include"]).sorted()
  }

  /// What `martlet reference NAME` prints; nil for a name that no directive has.
  public static func text(named name: String) -> String? {
    if name == "include" {
      return "include PATH\n    \(includeSentence)\n    Example:\n        include sites/*.conf\n"
    }
    let parts = blocks.flatMap { block in
      block.directives.filter { $0.name == name }.map { $0.text(in: block.name) }
    }
    return parts.isEmpty ? nil : parts.joined(separator: "\n")
  }

  /// The directive that was most likely meant by a name that none has.
  public static func nearest(to name: String) -> String? {
    nearestName(to: name, among: names)
  }

  /// The page of the manual, as Markdown.
  public static var markdown: String {
    var parts = [introduction]
    parts += blocks.map(\.markdown)
    parts.append(variables)
    return parts.joined(separator: "\n")
  }

  private static let includeSentence =
    "Puts the directives of another file, or of all files of a pattern, in its place."

  private static let introduction = """
    # Directives

    Written by `martlet reference --markdown`; the guide is [configuration](../manual/configuration.md).

    `…` behind a word means that there may be several, `[…]` that it may be left out, `|` a choice.

    | word | is | examples |
    |---|---|---|
    | DURATION | a time with its unit: `ms`, `s`, `m`, `h`, `d` | `250ms`, `30s`, `5m` |
    | SIZE | bytes with their unit: `B`, `KB`, `MB`, `GB`; 1 KB is 1,024 B | `512B`, `16KB`, `1GB` |
    | NUMBER | a whole number | `4` |
    | ADDRESS | an address with a port, a name with a port, a port, or a Unix socket | \
    `127.0.0.1:80`, `[::1]:80`, `app.internal:80`, `:80`, `unix:/run/app.sock` |
    | NETWORK | an address, or a network of addresses | `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32` |
    | TEXT, VALUE, TARGET | a word, or a text in quotes; `{…}` is a variable | `"Hello, {client.address}"` |

    `include PATH` stands anywhere. \(includeSentence) A path that does not begin with `/` is
    beside the file that names it.

    """

  private static var variables: String {
    var lines = [
      "## Variables", "",
      "They stand in braces, in words and in quoted texts. A variable that has no value is empty.",
      "",
      "| variable | is |", "|---|---|",
    ]
    for variable in Variable.references {
      let note = variable.needsResponse ? " In `response` and in bodies only." : ""
      lines.append("| `{\(variable.name)}` | \(variable.sentence)\(note) |")
    }
    lines += [
      "| `{env NAME}` | The variable NAME of the environment, when the configuration is read. |",
      "| `{file PATH}` | The content of a file, when the configuration is read. |", "",
    ]
    return lines.joined(separator: "\n")
  }
}
