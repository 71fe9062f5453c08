import JSON

/// Objects as lines in columns, for people.
struct TextTable {
  /// One column.
  struct Column {
    /// The member of the objects that it shows.
    var name: String
    /// What stands over it.
    var title: String
    /// Whether it stands to the right.
    var isNumber: Bool

    init(_ name: String, title: String? = nil, isNumber: Bool = false) {
      self.name = name
      self.title = title ?? name
      self.isNumber = isNumber
    }
  }

  /// The lines, each with its end.
  let text: String

  /// Lays out objects; a value that is not there is shown as `-`.
  init(_ objects: [JSONValue], _ columns: [Column]) {
    let rows =
      [columns.map { $0.title.uppercased() }]
      + objects.map { object in columns.map { Self.text(of: object[$0.name]) } }
    let widths = columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    text = rows.map { row in
      let cells = row.enumerated().map { index, cell in
        let space = String(repeating: " ", count: widths[index] - cell.count)
        return columns[index].isNumber ? space + cell : cell + space
      }
      let line = cells.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
    }.joined()
  }

  /// What comes from an edge process cannot command a terminal.
  private static func text(of value: JSONValue?) -> String {
    switch value {
    case nil, .null?: "-"
    case .text(let text)?: text.isEmpty ? "-" : printable(text)
    case .list(let values)?:
      values.isEmpty ? "-" : values.map { Self.text(of: $0) }.joined(separator: " ")
    case .flag(let flag)?: flag ? "yes" : "no"
    case let value?: value.compact
    }
  }

  private static func printable(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { ($0.value < 0x20 || 0x7F...0x9F ~= $0.value) ? "?" : $0 }
      )
    )
  }
}
