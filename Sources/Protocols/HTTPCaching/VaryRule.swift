public import HTTPMessage
import MartletBytes

/// The fields of a request that a response was chosen by.
///
/// Requests with the same ``appendKey(of:in:to:)`` may have the same response.
///
/// - Source: RFC 9111, section 4.1; RFC 9110, section 12.5.5.
public struct VaryRule: Hashable, Sendable {
  /// What Vary says.
  public enum Reading: Hashable, Sendable {
    /// The response was chosen by the target alone.
    case none
    /// By these fields.
    case names(VaryRule)
    /// By something that no field tells: `*`, or what cannot be read.
    case all
    /// By more fields than are looked at.
    case many
  }

  private struct Name: Hashable, Sendable {
    let field: FieldName
    let text: [UInt8]
  }

  private let names: [Name]

  private init(_ names: [Name]) { self.names = names }

  /// The names in lower case and in order, with commas between them, as a store keeps them.
  public var encoded: [UInt8] {
    Array(names.map(\.text).joined(separator: [0x2C]))
  }

  /// Reads what ``encoded`` wrote; nil for anything else.
  public init?(encoded: Span<UInt8>) {
    guard case .names(let rule) = Self.read(encoded, limit: .max),
      rule.encoded == [UInt8](copying: encoded)
    else { return nil }
    self = rule
  }

  /// Reads Vary of a response; `bytes` are those that it was read from.
  ///
  /// - Complexity: O(*n*) in its lines; allocates where there is one.
  public static func read(
    _ response: ResponseHead,
    in bytes: Span<UInt8>,
    by policy: CachePolicy
  ) -> Reading {
    var reading = Reading.none
    for line in response.fields where line.name == .vary {
      let value = bytes.extracting(line.valueRange.range)
      switch (reading, read(value, limit: policy.varyLimit)) {
      case (_, .all): return .all
      case (.many, _), (_, .many): reading = .many
      case (let before, .none): reading = before
      case (.none, let next): reading = next
      case (.names(let before), .names(let next)):
        reading = joined(before.names + next.names, limit: policy.varyLimit)
      case (.all, _): return .all
      }
    }
    return reading
  }

  /// Reads one value.
  static func read(_ value: Span<UInt8>, limit: Int) -> Reading {
    var names: [Name] = []
    var isMany = false
    var elements = ListElements(0..<value.count)
    while let element = elements.next(in: value) {
      let text = value.extracting(element)
      // A name that is none selects by nothing that could be compared.
      guard HTTPGrammar.isToken(text), !(text.count == 1 && text[0] == 0x2A) else { return .all }
      if names.count >= 64 { isMany = true } else { names.append(name(text)) }
    }
    if isMany { return .many }
    return names.isEmpty ? .none : joined(names, limit: limit)
  }

  private static func name(_ text: Span<UInt8>) -> Name {
    var lower: [UInt8] = []
    lower.reserveCapacity(text.count)
    for index in text.indices { lower.append(lowercased(text[index])) }
    return Name(field: FieldName(text), text: lower)
  }

  /// Sorts names, so that their order in the response does not count.
  private static func joined(_ names: [Name], limit: Int) -> Reading {
    var unique: [Name] = []
    for name in names.sorted(by: { $0.text.lexicographicallyPrecedes($1.text) })
    where unique.last != name {
      unique.append(name)
    }
    return unique.count > limit ? .many : .names(VaryRule(unique))
  }

  /// Appends what the fields of a request come to: values that mean the same are the same bytes.
  ///
  /// No byte of it is above 0x7F unless a value has it, and no value can stand for two.
  ///
  /// - Complexity: O(*n* · *m*) in the names and the lines; no allocation once the key has room.
  public func appendKey(of request: RequestHead, in bytes: Span<UInt8>, to key: inout [UInt8]) {
    for name in names {
      SelectingField(name.field, name.text.span).append(of: request, in: bytes, to: &key)
      // No value has a line feed.
      key.append(0x0A)
    }
  }
}
