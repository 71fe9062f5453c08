/// Something that is wrong with a configuration, or surely not meant.
public struct Diagnostic: Hashable, Sendable {
  /// How grave it is.
  public enum Severity: String, Hashable, Sendable {
    /// The configuration cannot be used.
    case error
    /// It can be used, but this is hardly what was meant.
    case warning
  }

  /// Another place that explains it.
  public struct Note: Hashable, Sendable {
    /// What is there.
    public var text: String
    /// Where.
    public var place: Place

    /// Creates a note.
    public init(_ text: String, _ place: Place) {
      self.text = text
      self.place = place
    }
  }

  /// How grave it is.
  public var severity: Severity
  /// What is wrong, as a clause without a full stop.
  public var problem: String
  /// What to do, as a clause: "write `listen :8080`"; nil where the problem says it already.
  public var mend: String?
  /// Where it is; nil for the configuration as a whole.
  public var place: Place?
  /// Other places that explain it.
  public var notes: [Note]

  /// Creates a diagnostic.
  public init(
    _ severity: Severity,
    _ problem: String,
    mend: String? = nil,
    place: Place? = nil,
    notes: [Note] = []
  ) {
    self.severity = severity
    self.problem = problem
    self.mend = mend
    self.place = place
    self.notes = notes
  }

  /// The most diagnostics that one reading keeps; what is behind them is counted.
  public static let maxCount = 100
}

extension Diagnostic {
  /// The diagnostic for people: place, problem, the line with a caret, notes and mend.
  ///
  /// - Parameter style: Whether control sequences for colours are written.
  /// - Returns: One or more lines, without a line end at their end.
  public func rendered(_ style: RenderingStyle = .plain) -> String {
    let kind = style.painted(severity.rawValue, severity == .error ? .red : .yellow)
    let head = place.map { style.painted("\($0): ", .bold) } ?? ""
    var lines = ["\(head)\(kind): \(Self.printable(problem))"]
    if let place { lines += Self.quotation(of: place, style) }
    for note in notes {
      lines.append("  \(style.painted("note", .cyan)): \(note.place): \(note.text)")
    }
    if let mend {
      lines.append("  \(style.painted("mend", .green)): \(Self.printable(mend))")
    }
    return lines.joined(separator: "\n")
  }

  // What is quoted of a line stays readable on a terminal of usual width.
  private static let quotedCharacters = 120

  private static func quotation(of place: Place, _ style: RenderingStyle) -> [String] {
    var text = Array(place.text)
    var column = min(place.column - 1, text.count)
    if text.count > quotedCharacters {
      let start = max(0, min(column - quotedCharacters / 3, text.count - quotedCharacters))
      let isCut = start + quotedCharacters < text.count
      text =
        (start > 0 ? ["…"] : []) + text[start...].prefix(quotedCharacters) + (isCut ? ["…"] : [])
      column += (start > 0 ? 1 : 0) - start
    }
    // A tab stays a tab in front of the caret, so that both lines are indented alike.
    let indent = String(text[..<column].map { $0 == "\t" ? "\t" : " " })
    let length = max(1, min(place.length, text.count - column))
    let caret = "^" + String(repeating: "~", count: length - 1)
    let number = String(place.line)
    let margin = String(repeating: " ", count: max(0, 5 - number.count))
    let blank = String(repeating: " ", count: margin.count + number.count)
    return [
      "\(margin)\(number) | \(printable(String(text)))",
      "\(blank) | \(indent)\(style.painted(caret, .green))",
    ]
  }

  /// The text without characters that would steer a terminal.
  private static func printable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
      result.append(isControl && scalar != "\t" ? "\u{FFFD}" : scalar)
    }
    return String(result)
  }

  /// The diagnostic for programs.
  public var json: JSONValue {
    var members = [JSONValue.Member("severity", .text(severity.rawValue))]
    if let place { members += Self.members(of: place) }
    members.append(JSONValue.Member("problem", .text(problem)))
    if let mend { members.append(JSONValue.Member("mend", .text(mend))) }
    if !notes.isEmpty {
      let values = notes.map { note in
        JSONValue.object(
          Self.members(of: note.place) + [JSONValue.Member("text", .text(note.text))]
        )
      }
      members.append(JSONValue.Member("notes", .list(values)))
    }
    return .object(members)
  }

  private static func members(of place: Place) -> [JSONValue.Member] {
    [
      JSONValue.Member("file", .text(place.file)),
      JSONValue.Member("line", .number(place.line)),
      JSONValue.Member("column", .number(place.column)),
      JSONValue.Member("length", .number(place.length)),
    ]
  }
}

/// Whether what people read has colours.
public enum RenderingStyle: Hashable, Sendable {
  /// Text alone.
  case plain
  /// With control sequences of a terminal.
  case coloured

  enum Paint: String {
    case bold = "1"
    case red = "1;31"
    case yellow = "1;33"
    case green = "32"
    case cyan = "36"
  }

  func painted(_ text: String, _ paint: Paint) -> String {
    self == .plain ? text : "\u{1B}[\(paint.rawValue)m\(text)\u{1B}[0m"
  }
}
