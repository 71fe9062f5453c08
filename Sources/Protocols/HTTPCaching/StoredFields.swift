public import HTTPMessage
import MartletBytes

/// Which field lines of a response are stored.
///
/// What belongs to one connection is not, nor what a proxy says of itself, nor what the response
/// withholds by `private="…"` or `no-cache="…"`. Age is not either: it is computed for each use.
///
/// - Source: RFC 9111, section 3.1.
public struct StoredFields: Sendable {
  private let said: ResponseDirectives
  private let removesCookies: Bool

  /// Reads what a response withholds; `bytes` are those that it was read from.
  public init(of response: ResponseHead, in bytes: Span<UInt8>, by policy: CachePolicy) {
    said = ResponseDirectives(of: response, in: bytes, targets: policy.targets)
    removesCookies = policy.setCookie == .removed
  }

  /// Whether a line is stored; `bytes` are those that the response was read from.
  public func keeps(_ line: FieldLine, in bytes: Span<UInt8>) -> Bool {
    guard !line.isHopByHop else { return false }
    switch line.name {
    case .age, .proxyAuthenticate, .proxyAuthenticationInfo, .proxyAuthorization: return false
    case .setCookie where removesCookies: return false
    default:
      guard !said.fieldLists.isEmpty else { return true }
      return !said.withholds(bytes.extracting(line.nameRange.range), in: bytes)
    }
  }
}

/// How the head of a stored response is updated by a newer one that has no content of its own.
///
/// - Source: RFC 9111, sections 3.2, 4.3.4 and 4.3.5.
public enum HeadUpdate {
  /// Whether a field of a 304, or of a response to HEAD, takes the place of the stored one.
  ///
  /// What describes the stored content stays with it.
  public static func replaces(_ name: FieldName) -> Bool {
    switch name {
    case .contentLength, .contentEncoding, .contentType, .contentRange, .transferEncoding, .trailer:
      false
    default: true
    }
  }

  /// Whether a field of a newer part takes the place of the stored one: all but what describes the part, and the
  /// message.
  public static func replacesOfPart(_ name: FieldName) -> Bool {
    switch name {
    case .contentLength, .contentRange, .transferEncoding, .trailer: false
    default: true
    }
  }

  /// The field lines of a stored response as a newer head has updated them, each with its CRLF.
  ///
  /// With `isPart` the newer head is that of a part of the same content (RFC 9111, section 3.4).
  ///
  /// Lines of a name that the newer head has are gone, all others stay, and those of the newer head
  /// stand behind them.
  ///
  /// - Complexity: O(*n* · *m*) in the lines of both; allocates the result.
  public static func merged(
    _ stored: FieldLines,
    in storedBytes: Span<UInt8>,
    with update: ResponseHead,
    in updateBytes: Span<UInt8>,
    by policy: CachePolicy,
    isPart: Bool = false
  ) -> [UInt8] {
    let replaces = isPart ? Self.replacesOfPart : Self.replaces
    let kept = StoredFields(of: update, in: updateBytes, by: policy)
    var lines: [UInt8] = []
    for line in stored {
      let name = storedBytes.extracting(line.nameRange.range)
      let newer = update.fields.first(named: name, in: updateBytes)
      let isReplaced =
        newer.map { replaces(line.name) && kept.keeps($0, in: updateBytes) } ?? false
      if !isReplaced { append(line, of: storedBytes, to: &lines) }
    }
    for line in update.fields
    where replaces(line.name) && kept.keeps(line, in: updateBytes) {
      append(line, of: updateBytes, to: &lines)
    }
    return lines
  }

  private static func append(_ line: FieldLine, of bytes: Span<UInt8>, to lines: inout [UInt8]) {
    lines.append(copying: bytes.extracting(line.nameRange.range))
    lines.append(0x3A)
    lines.append(0x20)
    lines.append(copying: bytes.extracting(line.valueRange.range))
    lines.append(0x0D)
    lines.append(0x0A)
  }
}
