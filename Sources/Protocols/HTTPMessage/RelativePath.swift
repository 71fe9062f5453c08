import MartletBytes

/// A path below a root, decoded: what the path of a request names, free of every way out.
///
/// It is the last to look before the kernel does, so it does not rely on what the parser of the request
/// has refused before.
///
/// - Source: RFC 3986, sections 2.1 and 3.3; RFC 3629, section 3.
public struct RelativePath: Hashable, Sendable {
  /// Why a path names no file, whatever files there are.
  public enum Refusal: String, Error, Sendable {
    /// `%` without two hexadecimal digits.
    case malformedEscape = "malformed_escape"
    /// `.` or `..`, escaped or not.
    case dotSegment = "dot_segment"
    /// An escaped slash: a name that no file can have.
    case slash = "encoded_slash"
    /// A backslash, which some systems take for a slash.
    case backslash
    /// A control byte; NUL is one.
    case control = "control_byte"
    /// Bytes that are not UTF-8, among them every overlong form.
    case encoding = "not_utf8"
    /// A name of more than 255 bytes, or a path of more than 4,000.
    case length = "too_long"
  }

  /// The names with slashes between them, none in front and none behind; empty for the root.
  public private(set) var bytes: [UInt8] = []
  /// Whether the path ended in a slash, or names the root.
  public private(set) var isFolder = true
  /// Whether a name begins with a dot, other than a first name `.well-known`.
  ///
  /// - Source: RFC 8615, section 3.
  public private(set) var isHidden = false

  /// The longest name.
  public static let nameBytes = 255
  /// The longest path; with a root in front it stays below the kernel's 4,096.
  public static let pathBytes = 4000

  /// The root itself.
  public init() {}

  /// Reads the path of a request; several slashes count as one.
  ///
  /// - Throws: ``Refusal``.
  /// - Complexity: O(*n*) in the bytes.
  public init(_ path: Span<UInt8>) throws(Refusal) {
    guard path.count <= Self.pathBytes * 3 else { throw .length }
    bytes.reserveCapacity(path.count + 1)
    var start = 0
    var offset = 0
    while offset < path.count {
      var byte = path[offset]
      offset += 1
      if byte == 0x2F {
        try endName(from: start)
        start = bytes.count
        continue
      }
      if byte == 0x25 {
        guard offset + 2 <= path.count, let high = hexDigit(path[offset]),
          let low = hexDigit(path[offset + 1])
        else { throw .malformedEscape }
        byte = high << 4 | low
        offset += 2
        if byte == 0x2F { throw .slash }
      }
      if byte == 0x5C { throw .backslash }
      if byte < 0x20 || byte == 0x7F { throw .control }
      if bytes.count == start, start > 0 {
        // The slash before a further name is written once it is known that there is one.
        bytes.append(0x2F)
        start += 1
      }
      bytes.append(byte)
    }
    try endName(from: start)
    isFolder = bytes.count == start
    guard bytes.count <= Self.pathBytes else { throw .length }
    // A slash is no part of a longer character, so that the path can be judged as a whole.
    guard Self.isUTF8(bytes) else { throw .encoding }
  }

  /// Judges the name that ends here.
  private mutating func endName(from start: Int) throws(Refusal) {
    let count = bytes.count - start
    guard count > 0 else { return }
    guard count <= Self.nameBytes else { throw .length }
    guard bytes[start] == 0x2E else { return }
    if count == 1 || count == 2 && bytes[start + 1] == 0x2E { throw .dotSegment }
    if start > 0 || !bytes[start...].elementsEqual(Self.wellKnown) { isHidden = true }
  }

  private static let wellKnown = Array(".well-known".utf8)

  private static func isUTF8(_ bytes: [UInt8]) -> Bool {
    bytes.allSatisfy { $0 < 0x80 } || String(validating: bytes, as: UTF8.self) != nil
  }

  /// The same path with a name behind it.
  public func appending(_ name: [UInt8]) -> RelativePath {
    var path = self
    if !bytes.isEmpty { path.bytes.append(0x2F) }
    path.bytes += name
    path.isFolder = false
    return path
  }

  /// The same path with more behind its last name: the ending of a compressed form.
  public func extended(by ending: [UInt8]) -> RelativePath {
    var path = self
    path.bytes += ending
    return path
  }

  /// The path of the folder that it lies in; empty for the root.
  public var parent: [UInt8] {
    bytes.lastIndex(of: 0x2F).map { Array(bytes[..<$0]) } ?? []
  }

  /// The last name; empty for the root.
  public var name: ArraySlice<UInt8> {
    bytes.lastIndex(of: 0x2F).map { bytes[($0 + 1)...] } ?? bytes[...]
  }
}
