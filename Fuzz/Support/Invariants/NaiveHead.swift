public import HTTPMessage

/// A head as a naive reader sees it: lines between CRLFs, names before the first colon.
public struct NaiveHead {
  /// The lines without their CRLFs and without the empty one at the end.
  public var lines: [[UInt8]] = []
  /// The length with the empty line.
  public var byteCount = 0

  /// Reads the head at the beginning of `bytes`; empty lines before it are skipped when told so.
  public init(_ bytes: [UInt8], skippingEmptyLines: Bool) {
    var line: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == 0x0D, index + 1 < bytes.count, bytes[index + 1] == 0x0A {
        index += 2
        byteCount = index
        if line.isEmpty, !lines.isEmpty || !skippingEmptyLines { return }
        if !line.isEmpty { lines.append(line) }
        line = []
      } else {
        line.append(bytes[index])
        index += 1
      }
    }
  }

  /// How many field lines have this name, which is in lower case, and the value of the last.
  public func values(of name: String) -> [String] {
    lines.dropFirst().compactMap { line in
      guard let colon = line.firstIndex(of: 0x3A) else { return nil }
      let text = String(decoding: line[..<colon], as: UTF8.self)
      guard text.lowercased() == name else { return nil }
      let value = line[(colon + 1)...]
      return String(decoding: value, as: UTF8.self).split(whereSeparator: {
        $0 == " " || $0 == "\t"
      })
      .joined(separator: " ")
    }
  }

  /// Requires that the fields are the lines, and that the framing is what the lines say.
  public func requireAgreement(
    fields: FieldLines,
    byteCount: Int,
    startLine: ByteRange,
    bytes: [UInt8]
  ) {
    require(byteCount == self.byteCount, "the head ends where the first empty line does")
    require(fields.count + 1 == lines.count, "each line is a field")
    require(Array(bytes[startLine.range]) == lines[0], "the start line is the first line")
    for line in lines {
      let isClean = line.allSatisfy { ($0 >= 0x20 || $0 == 0x09) && $0 != 0x7F }
      require(isClean, "no line holds a control byte")
    }
    for (field, line) in zip(fields, lines.dropFirst()) {
      require(Int(field.lineEnd) <= byteCount, "a field lies within its head")
      require(Array(bytes[field.lineRange.range].dropLast(2)) == line, "a field is its line")
      let name = Array(bytes[field.nameRange.range])
      require(line.starts(with: name + [0x3A]), "a name stands before the first colon")
      require(!name.isEmpty && !name.contains(0x20) && !name.contains(0x09), "a name is a token")
      let value = Array(bytes[field.valueRange.range])
      let edges = [value.first, value.last]
      require(!edges.contains(0x20) && !edges.contains(0x09), "a value is trimmed")
    }
  }

  /// Requires that the body ends where the lines say, and only one of them.
  public func requireFraming(_ length: BodyLength, mayBeNone: Bool) {
    let lengths = values(of: "content-length")
    let codings = values(of: "transfer-encoding")
    require(lengths.count + codings.count <= 1, "one line at most frames the body")
    switch length {
    case .none: require(mayBeNone || lengths.isEmpty && codings.isEmpty, "nothing announces a body")
    case .fixed(let count):
      require(lengths.map(UInt64.init) == [count], "the length is the field's")
    case .chunked: require(codings.map { $0.lowercased() } == ["chunked"], "the coding is chunked")
    case .untilClose: require(lengths.isEmpty && codings.isEmpty, "nothing says the length")
    }
  }
}
