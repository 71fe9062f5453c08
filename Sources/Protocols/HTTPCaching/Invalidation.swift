public import HTTPMessage
import MartletBytes

/// What a request that changes something makes invalid.
///
/// - Source: RFC 9111, section 4.4.
public enum Invalidation {
  /// How a resource is spoken to.
  public enum Scheme: UInt8, Sendable {
    /// `http`.
    case http
    /// `https`.
    case https

    /// The port of an authority that names none.
    public var port: UInt16 { self == .http ? 80 : 443 }

    fileprivate var text: [UInt8] { Array((self == .http ? "http:" : "https:").utf8) }
  }

  /// Whether the stored responses for a request's target are invalid now: it may have changed something,
  /// and was not refused.
  public static func isDue(_ method: Method, status: UInt16) -> Bool {
    !method.isSafe && 200..<400 ~= status
  }

  /// The paths with their queries that Location and Content-Location of the response name on the same
  /// origin as the request's target, which is invalid besides; at most two.
  ///
  /// - Parameters:
  ///   - response: The response to the request.
  ///   - bytes: The bytes that it was read from.
  ///   - request: A request for which ``isDue(_:status:)``.
  ///   - requestBytes: The bytes that it was read from.
  ///   - scheme: How the target was spoken to.
  /// - Returns: The paths with their queries, as a request has them.
  /// - Complexity: O(*n*) in the lines and values; allocates the result.
  public static func targets(
    of response: ResponseHead,
    in bytes: Span<UInt8>,
    to request: RequestHead,
    in requestBytes: Span<UInt8>,
    scheme: Scheme
  ) -> [[UInt8]] {
    var targets: [[UInt8]] = []
    for name in [FieldName.location, .contentLocation] {
      guard let line = response.first(name) else { continue }
      let target = resolved(
        bytes.extracting(line.valueRange.range),
        to: request,
        in: requestBytes,
        scheme: scheme
      )
      if let target, !targets.contains(target) { targets.append(target) }
    }
    return targets
  }

  /// The path and query of a reference on the request's origin; nil: it names another origin, or none
  /// that can be read.
  ///
  /// - Source: RFC 3986, section 5.2.
  static func resolved(
    _ reference: Span<UInt8>,
    to request: RequestHead,
    in requestBytes: Span<UInt8>,
    scheme: Scheme
  ) -> [UInt8]? {
    var end = 0
    // A fragment names no resource of its own.
    while end < reference.count, reference[end] != 0x23 {
      guard 0x21..<0x7F ~= reference[end] else { return nil }
      end += 1
    }
    var start = 0
    if let colon = schemeEnd(reference, to: end) {
      let text = scheme.text
      guard equalIgnoringCase(reference.extracting(0..<colon + 1), text.span) else { return nil }
      start = colon + 1
      guard hasTwoSlashes(reference, at: start, to: end) else { return nil }
    }
    var path: [UInt8] = []
    if hasTwoSlashes(reference, at: start, to: end) {
      let authority = start + 2..<authorityEnd(reference, from: start + 2, to: end)
      guard isSame(reference, authority, request, requestBytes, scheme) else { return nil }
      start = authority.upperBound
      if start == end || reference[start] != 0x2F { path = [0x2F] }
    } else if start == end {
      path = Array(copying: requestBytes.extracting(request.path.range))
      return path + query(of: request, in: requestBytes)
    } else if reference[start] == 0x3F {
      path = Array(copying: requestBytes.extracting(request.path.range))
      if path.isEmpty { path = [0x2F] }
    } else if reference[start] != 0x2F {
      let own = requestBytes.extracting(request.path.range)
      var last = own.count
      while last > 0, own[last - 1] != 0x2F { last -= 1 }
      path = last == 0 ? [0x2F] : Array(copying: own.extracting(0..<last))
    }
    var pathEnd = start
    while pathEnd < end, reference[pathEnd] != 0x3F { pathEnd += 1 }
    path.append(copying: reference.extracting(start..<pathEnd))
    return withoutDots(path) + Array(copying: reference.extracting(pathEnd..<end))
  }

  private static func query(of request: RequestHead, in bytes: Span<UInt8>) -> [UInt8] {
    guard request.hasQuery else { return [] }
    return [0x3F] + Array(copying: bytes.extracting(request.query.range))
  }

  private static func hasTwoSlashes(_ bytes: Span<UInt8>, at start: Int, to end: Int) -> Bool {
    start + 1 < end && bytes[start] == 0x2F && bytes[start + 1] == 0x2F
  }

  /// The colon behind a scheme: before it, a letter and then letters, digits and `+-.` alone.
  private static func schemeEnd(_ bytes: Span<UInt8>, to end: Int) -> Int? {
    for index in 0..<end {
      switch bytes[index] {
      case 0x3A: return index > 0 ? index : nil
      case 0x41...0x5A, 0x61...0x7A: continue
      case 0x30...0x39, 0x2B, 0x2D, 0x2E:
        guard index > 0 else { return nil }
      default: return nil
      }
    }
    return nil
  }

  private static func authorityEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    var index = start
    while index < end, bytes[index] != 0x2F, bytes[index] != 0x3F { index += 1 }
    return index
  }

  private static func isSame(
    _ bytes: Span<UInt8>,
    _ range: Range<Int>,
    _ request: RequestHead,
    _ requestBytes: Span<UInt8>,
    _ scheme: Scheme
  ) -> Bool {
    guard range.upperBound <= 65_535 else { return false }
    do throws(MessageError) {
      let named = try Authority(bytes, in: range)
      let own = try Authority(requestBytes, in: request.authority.range)
      return (named.port ?? scheme.port) == (own.port ?? scheme.port)
        && equalIgnoringCase(
          bytes.extracting(named.host.range),
          requestBytes.extracting(own.host.range)
        )
    } catch {
      return false
    }
  }

  /// RFC 3986, section 5.2.4, for a path that begins with a slash.
  private static func withoutDots(_ path: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(path.count)
    var index = 0
    while index < path.count {
      var end = index + 1
      while end < path.count, path[end] != 0x2F { end += 1 }
      let segment = path[index + 1..<end]
      let isLast = end == path.count
      switch segment {
      case [0x2E]: if isLast { result.append(0x2F) }
      case [0x2E, 0x2E]:
        while let last = result.popLast(), last != 0x2F {}
        if isLast { result.append(0x2F) }
      default: result.append(contentsOf: path[index..<end])
      }
      index = end
    }
    return result
  }
}
