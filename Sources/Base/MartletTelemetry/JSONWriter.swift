import MartletBytes

/// Writes JSON in order, as it is asked for, and sees to the commas.
///
/// ```swift
/// var json = JSONWriter()
/// json.object { json in
///   json.member("name", "api")
///   json.array("weights") { json in json.number(2) }
/// }
/// let body = json.finished()
/// ```
///
/// - Source: RFC 8259.
public struct JSONWriter: ~Copyable, Sendable {
  private var output: TextBuffer
  // Whether the next value follows another one of the same array or object.
  private var needsComma = false

  /// Creates a writer that has written nothing.
  public init() { output = TextBuffer() }

  /// The bytes written so far.
  public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get { output.bytes }
  }

  /// Ends the writing and gives the bytes.
  public consuming func finished() -> [UInt8] { [UInt8](copying: output.bytes) }

  /// Ends a line, and lets the next value begin without a comma.
  public mutating func newline() {
    output.append(0x0A)
    needsComma = false
  }

  /// Writes an object; `members` writes a key before each value.
  public mutating func object(_ members: (inout JSONWriter) -> Void) {
    begin(0x7B)
    members(&self)
    end(0x7D)
  }

  /// Writes an object as the value of `key`.
  public mutating func object(_ key: String, _ members: (inout JSONWriter) -> Void) {
    self.key(key)
    object(members)
  }

  /// Writes an array of the values that `elements` writes.
  public mutating func array(_ elements: (inout JSONWriter) -> Void) {
    begin(0x5B)
    elements(&self)
    end(0x5D)
  }

  /// Writes an array as the value of `key`.
  public mutating func array(_ key: String, _ elements: (inout JSONWriter) -> Void) {
    self.key(key)
    array(elements)
  }

  private mutating func begin(_ bracket: UInt8) {
    separate()
    output.append(bracket)
    needsComma = false
  }

  private mutating func end(_ bracket: UInt8) {
    output.append(bracket)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { output.append(0x2C) }
    needsComma = true
  }

  /// Writes the key of the value that follows.
  public mutating func key(_ name: String) {
    separate()
    output.append(json: name.utf8.span)
    output.append(0x3A)
    needsComma = false
  }

  /// Writes a string.
  public mutating func text(_ value: String) {
    separate()
    output.append(json: value.utf8.span)
  }

  /// Writes a string of bytes that should be UTF-8; what is not becomes U+FFFD.
  public mutating func text(_ value: Span<UInt8>) {
    separate()
    output.append(json: value)
  }

  /// Writes a whole number.
  public mutating func number(_ value: Int64) {
    separate()
    output.append(decimal: value)
  }

  /// Writes a whole number.
  public mutating func number(_ value: Int) { number(Int64(value)) }

  /// Writes a whole number.
  public mutating func number(_ value: UInt64) {
    separate()
    output.append(decimal: value)
  }

  /// Writes a number; null for what is not finite, as JSON has no word for it.
  public mutating func number(_ value: Double) {
    separate()
    output.append(utf8: value.isFinite ? value.description : "null")
  }

  /// Writes a duration as seconds with six decimal places.
  public mutating func seconds(nanoseconds: UInt64) {
    separate()
    output.append(seconds: nanoseconds)
  }

  /// Writes true or false.
  public mutating func boolean(_ value: Bool) {
    separate()
    output.append(value ? "true" as StaticString : "false")
  }

  /// Writes null.
  public mutating func null() {
    separate()
    output.append("null")
  }
}

extension JSONWriter {
  /// Writes a key and a string.
  public mutating func member(_ key: String, _ value: String) {
    self.key(key)
    text(value)
  }

  /// Writes a key and a whole number.
  public mutating func member(_ key: String, _ value: Int) {
    self.key(key)
    number(value)
  }

  /// Writes a key and a whole number.
  public mutating func member(_ key: String, _ value: UInt64) {
    self.key(key)
    number(value)
  }

  /// Writes a key and a number; null for what is not finite.
  public mutating func member(_ key: String, _ value: Double) {
    self.key(key)
    number(value)
  }

  /// Writes a key and true or false.
  public mutating func member(_ key: String, _ value: Bool) {
    self.key(key)
    boolean(value)
  }
}
