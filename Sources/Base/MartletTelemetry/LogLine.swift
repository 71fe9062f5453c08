/// One line of the error log.
public struct LogLine: Sendable {
  /// How much a line matters.
  public enum Level: String, CaseIterable, Comparable, Hashable, Sendable {
    /// For whoever looks for a defect.
    case debug
    /// What happens by itself: started, reloaded.
    case notice
    /// Something is wrong, and Martlet helps itself.
    case warning
    /// Something is wrong that somebody should mend.
    case error

    /// Whether a level matters less than another.
    public static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }

    private var rank: Int {
      switch self {
      case .debug: 0
      case .notice: 1
      case .warning: 2
      case .error: 3
      }
    }
  }

  /// What a field says.
  public enum Value: Hashable, Sendable {
    /// Words.
    case text(String)
    /// A whole number.
    case number(Int64)
    /// A duration, shown as seconds.
    case nanoseconds(UInt64)
    /// Yes or no.
    case boolean(Bool)
  }

  /// A name and what it says.
  public struct Field: Sendable {
    /// The name: lower-case letters, digits and underscores; not `time`, `level` or `message`.
    public var name: StaticString
    /// What it says.
    public var value: Value

    /// Creates a field.
    public init(_ name: StaticString, _ value: Value) {
      self.name = name
      self.value = value
    }

    /// Creates a field of words.
    public init(_ name: StaticString, _ text: String) { self.init(name, .text(text)) }

    /// Creates a field of a number.
    public init(_ name: StaticString, _ number: Int) { self.init(name, .number(Int64(number))) }
  }

  /// When it happened.
  public var time: Timestamp
  /// How much it matters.
  public var level: Level
  /// What happened, in a sentence without the names and numbers, which are fields.
  public var message: String
  /// The names and numbers.
  public var fields: [Field]

  /// Creates a line.
  public init(_ time: Timestamp, _ level: Level, _ message: String, _ fields: [Field] = []) {
    self.time = time
    self.level = level
    self.message = message
    self.fields = fields
  }
}

/// Writes lines of the error log for people or for programs.
public struct LogFormat: Sendable {
  /// The form of a line.
  public enum Form: Sendable {
    /// `2026-11-21T08:33:20.123Z warning message name=value`.
    case text
    /// One object with the members `time`, `level`, `message` and the fields.
    case json
  }

  /// The longest text of a message or field in bytes; what is longer is cut and marked.
  public static let textBytes = 4096

  private let form: Form
  private var clock = TimestampText(.rfc3339)

  /// Creates a format.
  public init(_ form: Form) { self.form = form }

  /// Appends a line with its end.
  public mutating func append(_ line: LogLine, to buffer: inout TextBuffer) {
    switch form {
    case .text: appendText(line, to: &buffer)
    case .json: appendJSON(line, to: &buffer)
    }
    buffer.append(0x0A)
  }

  private mutating func appendText(_ line: LogLine, to buffer: inout TextBuffer) {
    clock.append(line.time, to: &buffer)
    buffer.append(0x20)
    buffer.append(utf8: line.level.rawValue)
    buffer.append(0x20)
    // Letters of every script stay readable; what could end the line or steer a terminal does not.
    append(inside: line.message, to: &buffer)
    for field in line.fields {
      buffer.append(0x20)
      buffer.append(field.name)
      buffer.append(0x3D)
      if case .text(let text) = field.value, isWord(text) {
        buffer.append(utf8: text)
      } else {
        append(field.value, to: &buffer)
      }
    }
  }

  private mutating func appendJSON(_ line: LogLine, to buffer: inout TextBuffer) {
    buffer.append("{\"time\":\"")
    clock.append(line.time, to: &buffer)
    buffer.append("\",\"level\":\"")
    buffer.append(utf8: line.level.rawValue)
    buffer.append("\",\"message\":\"")
    append(inside: line.message, to: &buffer)
    buffer.append(0x22)
    for field in line.fields {
      buffer.append(",\"")
      buffer.append(field.name)
      buffer.append("\":")
      append(field.value, to: &buffer)
    }
    buffer.append(0x7D)
  }

  private func append(_ value: LogLine.Value, to buffer: inout TextBuffer) {
    switch value {
    case .text(let text):
      buffer.append(0x22)
      append(inside: text, to: &buffer)
      buffer.append(0x22)
    case .number(let number): buffer.append(decimal: number)
    case .nanoseconds(let nanoseconds): buffer.append(seconds: nanoseconds)
    case .boolean(let value):
      buffer.append(value ? "true" as StaticString : "false")
    }
  }

  private func append(inside text: String, to buffer: inout TextBuffer) {
    let bytes = text.utf8.span
    if bytes.count <= Self.textBytes {
      buffer.append(jsonEscaped: bytes)
    } else {
      buffer.append(jsonEscaped: bytes.extracting(first: Self.textBytes))
      buffer.append("…")
    }
  }

  /// Whether a text needs no quotation marks in the form for people.
  private func isWord(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= Self.textBytes
      && text.utf8.allSatisfy { byte in
        byte > 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C && byte != 0x3D
      }
  }
}
