import MartletBytes

extension TextBuffer {
  /// Appends `text` as the inside of a JSON string.
  ///
  /// What is not UTF-8 becomes U+FFFD. Every control character is escaped, also those of C1 and the
  /// separators of lines and paragraphs, so that a line of the log stays one line wherever it is
  /// shown.
  ///
  /// - Source: RFC 8259, section 7; the Unicode standard, section 3.9, for what is not UTF-8.
  public mutating func append(jsonEscaped text: Span<UInt8>) {
    var offset = appendPlain(text, from: 0)
    while offset < text.count {
      offset = appendPlain(text, from: appendSpecial(json: text, at: offset))
    }
  }

  /// Appends `text` between the quotation marks of JSON.
  public mutating func append(json text: Span<UInt8>) {
    append(0x22)
    append(jsonEscaped: text)
    append(0x22)
  }

  /// Appends one character that is not plain; returns the offset behind it.
  @inline(never)
  private mutating func appendSpecial(json text: Span<UInt8>, at offset: Int) -> Int {
    let byte = text[offset]
    switch byte {
    case 0x22: append("\\\"")
    case 0x5C: append("\\\\")
    case 0x0A: append("\\n")
    case 0x0D: append("\\r")
    case 0x09: append("\\t")
    case 0x00..<0x20, 0x7F: append(unicodeEscape: UInt32(byte))
    default:
      let (scalar, length) = utf8Scalar(in: text, at: offset)
      switch scalar {
      case nil: append("\u{FFFD}")
      case .some(let control) where control < 0xA0 || control == 0x2028 || control == 0x2029:
        append(unicodeEscape: control)
      case .some: append(text.extracting(offset..<offset + length))
      }
      return offset + length
    }
    return offset + 1
  }

  private mutating func append(unicodeEscape scalar: UInt32) {
    append("\\u")
    for shift in [UInt32(12), 8, 4, 0] { append(hexDigit: UInt8(scalar >> shift & 15)) }
  }

  private mutating func append(hexDigit value: UInt8) {
    append(value < 10 ? 0x30 + value : 0x61 + value - 10)
  }

  /// Appends `text` as the inside of a quoted field of a log in text form.
  ///
  /// Quotation marks and backslashes get a backslash; control bytes and everything that is not ASCII
  /// become `\xhh`, so that no reader is led astray by an encoding.
  public mutating func append(logEscaped text: Span<UInt8>) {
    var offset = appendPlain(text, from: 0)
    while offset < text.count {
      appendSpecial(log: text[offset])
      offset = appendPlain(text, from: offset + 1)
    }
  }

  @inline(never)
  private mutating func appendSpecial(log byte: UInt8) {
    switch byte {
    case 0x22: append("\\\"")
    case 0x5C: append("\\\\")
    default:
      append("\\x")
      append(hexDigit: byte >> 4)
      append(hexDigit: byte & 15)
    }
  }
}

/// The character at `offset`, with its length; nil and the length of what to replace if it is none.
///
/// - Source: the Unicode standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
func utf8Scalar(in text: Span<UInt8>, at offset: Int) -> (scalar: UInt32?, length: Int) {
  let lead = text[offset]
  var second: ClosedRange<UInt8> = 0x80...0xBF
  let length: Int
  switch lead {
  case 0x00...0x7F: return (UInt32(lead), 1)
  case 0xC2...0xDF: length = 2
  case 0xE0:
    length = 3
    second = 0xA0...0xBF
  case 0xED:
    length = 3
    second = 0x80...0x9F
  case 0xE1...0xEF: length = 3
  case 0xF0:
    length = 4
    second = 0x90...0xBF
  case 0xF4:
    length = 4
    second = 0x80...0x8F
  case 0xF1...0xF3: length = 4
  default: return (nil, 1)
  }
  var scalar = UInt32(lead) & (0x7F >> UInt32(length))
  for step in 1..<length {
    guard offset + step < text.count else { return (nil, step) }
    let byte = text[offset + step]
    guard (step == 1 ? second : 0x80...0xBF).contains(byte) else { return (nil, step) }
    scalar = scalar << 6 | UInt32(byte & 0x3F)
  }
  return (scalar, length)
}
