import HTTPMessage
import MartletBytes

/// One field that a response was chosen by, brought to one form.
///
/// - Source: RFC 9111, section 4.1: whitespace where it may stand, lines of one list, and what is known
///   to mean the same.
struct SelectingField: ~Escapable {
  private let field: FieldName
  private let name: Span<UInt8>

  @_lifetime(copy name)
  init(_ field: FieldName, _ name: Span<UInt8>) {
    self.field = field
    self.name = name
  }

  /// What stands for a field that is missing; no value has it.
  private static let missing: UInt8 = 0x00

  private func isHere(_ line: FieldLine, in bytes: Span<UInt8>) -> Bool {
    guard line.name == field else { return false }
    return field != .other || equalIgnoringCase(bytes.extracting(line.nameRange.range), name)
  }

  /// Appends the value that all lines of the field come to.
  func append(of request: RequestHead, in bytes: Span<UInt8>, to key: inout [UInt8]) {
    switch field {
    case .acceptEncoding:
      var codings = TakenCodings()
      var isThere = false
      for line in request.fields where line.name == field {
        isThere = true
        codings.read(bytes, line.valueRange.range, to: &key)
      }
      // Who does not say what he takes takes everything.
      if isThere { codings.append(to: &key) } else { key.append(Self.missing) }
    case .acceptLanguage:
      if !appendWeighted(of: request, in: bytes, to: &key) {
        appendList(of: request, in: bytes, to: &key)
      }
    default: appendList(of: request, in: bytes, to: &key)
    }
  }

  /// The elements of all lines, with a comma between two.
  private func appendList(
    of request: RequestHead,
    in bytes: Span<UInt8>,
    to key: inout [UInt8]
  ) {
    var isThere = false
    var isFirst = true
    for line in request.fields where isHere(line, in: bytes) {
      isThere = true
      var elements = ListElements(line.valueRange.range)
      while let element = elements.next(in: bytes) {
        if !isFirst { key.append(0x2C) }
        isFirst = false
        key.append(copying: bytes.extracting(element))
      }
    }
    if !isThere { key.append(Self.missing) }
  }

  /// How many elements are put in order.
  private static let weightedCount = 16

  /// The elements by weight and then by name, in lower case, with a comma between two.
  ///
  /// - Returns: False where there are too many elements, or one that breaks the grammar.
  private func appendWeighted(
    of request: RequestHead,
    in bytes: Span<UInt8>,
    to key: inout [UInt8]
  ) -> Bool {
    var names = InlineArray<16, ByteRange>(repeating: ByteRange())
    var weights = InlineArray<16, Int>(repeating: 0)
    var count = 0
    var isThere = false
    for line in request.fields where isHere(line, in: bytes) {
      isThere = true
      var elements = ListElements(line.valueRange.range)
      while let element = elements.next(in: bytes) {
        let read = WeightedElement(bytes, element)
        guard let weight = read.weight, count < Self.weightedCount, !read.name.isEmpty else {
          return false
        }
        let name = ByteRange(read.name)
        // Behind all that are liked better, or as much and come first.
        var place = count
        while place > 0 {
          let before = weights[place - 1]
          guard
            before < weight
              || before == weight && precedes(name, names[place - 1], in: bytes)
          else { break }
          names[place] = names[place - 1]
          weights[place] = before
          place -= 1
        }
        names[place] = name
        weights[place] = weight
        count += 1
      }
    }
    guard isThere else {
      key.append(Self.missing)
      return true
    }
    for index in 0..<count {
      if index > 0 { key.append(0x2C) }
      for offset in names[index].range { key.append(lowercased(bytes[offset])) }
      if weights[index] < 1000 {
        key.append(0x3B)
        appendDigits(weights[index], to: &key)
      }
    }
    return true
  }

  private func precedes(_ left: ByteRange, _ right: ByteRange, in bytes: Span<UInt8>) -> Bool {
    for offset in 0..<min(Int(left.count), Int(right.count)) {
      let one = lowercased(bytes[left.lowerBound + offset])
      let other = lowercased(bytes[right.lowerBound + offset])
      if one != other { return one < other }
    }
    return left.count < right.count
  }

  private func appendDigits(_ weight: Int, to key: inout [UInt8]) {
    var divisor = 100
    while divisor > 0 {
      key.append(0x30 + UInt8(truncatingIfNeeded: weight / divisor % 10))
      divisor /= 10
    }
  }
}

/// The content codings that a request takes, in one order: how gladly does not count, for a response
/// that one client takes is as good for another that takes it too.
///
/// - Source: RFC 9110, section 12.5.3.
private struct TakenCodings {
  private static let names: [[UInt8]] = [
    "br", "compress", "dcb", "dcz", "deflate", "gzip", "identity", "zstd", "*",
  ].map { Array($0.utf8) }
  private static let identity = 6
  private static let others = 8
  private static let legacy: [([UInt8], Int)] = [
    (Array("x-gzip".utf8), 5), (Array("x-compress".utf8), 1),
  ]

  private var taken: UInt16 = 0
  private var refused: UInt16 = 0

  /// Reads one line; codings that are not known are appended at once.
  mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>, to key: inout [UInt8]) {
    var elements = ListElements(range)
    while let element = elements.next(in: bytes) {
      let read = WeightedElement(bytes, element)
      let isTaken = (read.weight ?? 0) > 0
      let name = bytes.extracting(read.name)
      if let index = Self.index(of: name) {
        let bit: UInt16 = 1 << UInt16(index)
        if isTaken { taken |= bit } else { refused |= bit }
      } else if isTaken {
        for offset in name.indices { key.append(lowercased(name[offset])) }
        key.append(0x2C)
      }
    }
  }

  private static func index(of name: Span<UInt8>) -> Int? {
    for (index, known) in names.enumerated() where equalIgnoringCase(known.span, name) {
      return index
    }
    for (known, index) in legacy where equalIgnoringCase(known.span, name) { return index }
    return nil
  }

  /// Appends the names of those that are taken, and of those that are refused by name where that says
  /// something: no coding at all, and what `*` would take.
  func append(to key: inout [UInt8]) {
    let isAll = taken & 1 << UInt16(Self.others) != 0
    for (index, name) in Self.names.enumerated() {
      let bit: UInt16 = 1 << UInt16(index)
      let isRefused = refused & bit != 0
      let isTelling = isAll || index == Self.identity || index == Self.others
      guard taken & bit != 0 || isRefused && isTelling else { continue }
      if isRefused { key.append(0x21) }
      key.append(contentsOf: name)
      key.append(0x2C)
    }
  }
}
