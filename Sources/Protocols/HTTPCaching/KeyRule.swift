public import HTTPMessage
import MartletBytes

/// What of a query counts for which answer is sent, and what else of a request does.
///
/// A parameter that does not count is neither part of a key nor sent to the origin for an answer that is kept, so
/// that no answer can depend on it. One that two readers may read differently always counts: with `%` or `+` in
/// its name, or with `;` in it.
public struct KeyRule: Hashable, Sendable {
  /// Which parameters count.
  public enum Query: Hashable, Sendable {
    /// All of them.
    case all
    /// None of them.
    case none
    /// Those with these names.
    case only([Name])
    /// All but those with these names.
    case except([Name])
  }

  /// The name of a parameter, or the beginning of several.
  public struct Name: Hashable, Sendable {
    private let text: [UInt8]
    private let isPrefix: Bool

    /// Reads a name; `*` at its end stands for anything.
    public init(_ text: String) {
      isPrefix = text.hasSuffix("*")
      self.text = Array((isPrefix ? String(text.dropLast()) : text).utf8)
    }

    func fits(_ name: Span<UInt8>) -> Bool {
      guard isPrefix ? name.count >= text.count : name.count == text.count else { return false }
      for index in text.indices where name[index] != text[index] { return false }
      return true
    }
  }

  /// Which parameters count.
  public var query = Query.all
  /// The fields that count, in the form in which those count that Vary names.
  public var fields: VaryRule?
  /// The names of the cookies that count.
  public var cookies: [[UInt8]] = []

  /// Creates the rule by which the whole URL counts, and nothing else.
  public init() {}

  /// Appends what counts of a query, with a question mark in front unless nothing does.
  ///
  /// - Complexity: O(*n*) in the query and the names.
  public func appendQuery(_ text: Span<UInt8>, to key: inout [UInt8]) {
    if case .none = query { return }
    let start = key.count
    var offset = 0
    while offset < text.count {
      var end = offset
      while end < text.count, text[end] != 0x26 { end += 1 }
      let parameter = text.extracting(offset..<end)
      if counts(parameter) {
        key.append(key.count == start ? 0x3F : 0x26)
        key.append(copying: parameter)
      }
      offset = end + 1
    }
  }

  private func counts(_ parameter: Span<UInt8>) -> Bool {
    if case .all = query { return true }
    var nameEnd = parameter.count
    var isPlain = true
    for index in parameter.indices {
      let byte = parameter[index]
      if byte == 0x3D, nameEnd == parameter.count { nameEnd = index }
      if byte == 0x3B || (byte == 0x25 || byte == 0x2B) && nameEnd == parameter.count {
        isPlain = false
      }
    }
    guard isPlain else { return true }
    let name = parameter.extracting(first: nameEnd)
    return switch query {
    case .all: true
    case .none: false
    case .only(let names): names.contains { $0.fits(name) }
    case .except(let names): !names.contains { $0.fits(name) }
    }
  }

  /// Appends what counts behind the URL: a line feed, which no URL has, and a line for each field and cookie.
  public func appendFields(of request: RequestHead, in bytes: Span<UInt8>, to key: inout [UInt8]) {
    guard fields != nil || !cookies.isEmpty else { return }
    key.append(0x0A)
    fields?.appendKey(of: request, in: bytes, to: &key)
    for name in cookies {
      appendCookie(name, of: request, in: bytes, to: &key)
      key.append(0x0A)
    }
  }

  /// Appends the values of a cookie; a zero stands for one that is not there.
  private func appendCookie(
    _ name: [UInt8],
    of request: RequestHead,
    in bytes: Span<UInt8>,
    to key: inout [UInt8]
  ) {
    var isThere = false
    for line in request.fields where line.name == .cookie {
      let value = line.valueRange.range
      var offset = value.lowerBound
      while offset < value.upperBound {
        var end = offset
        while end < value.upperBound, bytes[end] != 0x3B { end += 1 }
        let pair = HTTPGrammar.trimmed(offset..<end, in: bytes)
        offset = end + 1
        guard pair.count > name.count, bytes[pair.lowerBound + name.count] == 0x3D else { continue }
        var isSame = true
        for index in name.indices where bytes[pair.lowerBound + index] != name[index] {
          isSame = false
        }
        guard isSame else { continue }
        if isThere { key.append(0x3B) }
        isThere = true
        key.append(copying: bytes.extracting(pair.lowerBound + name.count + 1..<pair.upperBound))
      }
    }
    if !isThere { key.append(0) }
  }
}
