import HTTPMessage
import MartletBytes

/// A head or trailers as they were decompressed, judged field by field.
///
/// - Source: RFC 9113, section 8.
public struct DecodedFields: Sendable {
  /// What the fields were sent as.
  public enum Role: Sendable {
    /// The head of a request.
    case request
    /// The head of an answer, which may be an interim one.
    case response
    /// What comes behind the content.
    case trailers
  }

  /// The fields as HTTP/1.1 writes them: the whole head with its start line and last empty line, or
  /// the lines of trailers alone.
  ///
  /// A body whose length is not known is announced as chunks: that is what a reader of HTTP/1.1 makes
  /// of a body whose end comes later.
  public private(set) var head: [UInt8] = []
  /// The length that the body is said to have.
  public private(set) var contentLength: UInt64?
  /// The status of an answer.
  public private(set) var status: UInt16 = 0
  /// What the client asks to be switched to by extended CONNECT: `websocket`; empty: nothing.
  public private(set) var protocolName: [UInt8] = []
  /// Whether the request is a HEAD.
  public private(set) var isHead = false
  /// Whether the request is a CONNECT.
  public private(set) var isConnect = false
  /// Whether an answer lets bytes pass both ways: that to an extended CONNECT.
  public private(set) var opensTunnel = false
  /// Whether ``head`` announces chunks.
  public private(set) var isChunked = false
  /// What the field Priority says.
  public private(set) var priority = Priority()
  /// Whether the fields are more than is allowed: their text is not complete.
  public private(set) var isTooLarge = false
  /// Why the message is malformed: RFC 9113, section 8.1.1.
  public private(set) var defect: String?

  private var role = Role.request
  private var lines: [UInt8] = []
  private var pseudo: [UInt8] = []
  private var cookie: [UInt8] = []
  private var method = 0..<0
  private var scheme = 0..<0
  private var authority = 0..<0
  private var path = 0..<0
  private var host = 0..<0
  private var hasHost = false
  private var hasRegular = false
  private var seen: Set = []
  private(set) var byteCount = 0
  private var fieldCount = 0

  private struct Set: OptionSet, Sendable {
    var rawValue: UInt8
    static let method = Set(rawValue: 1)
    static let scheme = Set(rawValue: 2)
    static let authority = Set(rawValue: 4)
    static let path = Set(rawValue: 8)
    static let protocolName = Set(rawValue: 16)
    static let status = Set(rawValue: 32)
  }

  init() {}

  /// Begins anew.
  mutating func reset(_ role: Role) {
    self.role = role
    head.removeAll(keepingCapacity: true)
    lines.removeAll(keepingCapacity: true)
    pseudo.removeAll(keepingCapacity: true)
    if !cookie.isEmpty { cookie.removeAll(keepingCapacity: true) }
    if !protocolName.isEmpty { protocolName = [] }
    contentLength = nil
    status = 0
    isHead = false
    isConnect = false
    opensTunnel = false
    isChunked = false
    priority = Priority()
    isTooLarge = false
    defect = nil
    method = 0..<0
    scheme = 0..<0
    authority = 0..<0
    path = 0..<0
    hasHost = false
    hasRegular = false
    seen = []
    byteCount = 0
    fieldCount = 0
  }

  mutating func swapHead(_ buffer: inout [UInt8]) { swap(&head, &buffer) }

  /// Gives up what was decoded, with its memory.
  mutating func release() {
    let role = role
    self = DecodedFields()
    self.role = role
  }

  // MARK: One field

  /// Takes a field, whose line `name: value` lies in `line` of `bytes`.
  mutating func add(
    _ bytes: Span<UInt8>,
    _ line: Range<Int>,
    nameCount: Int,
    _ kind: FieldKind,
    limits: ConnectionLimits
  ) {
    byteCount += line.count - 2 + 32
    fieldCount += 1
    guard byteCount <= limits.fieldBytes, fieldCount <= limits.fieldCount else {
      isTooLarge = true
      return
    }
    guard defect == nil else { return }
    let value = line.lowerBound + nameCount + 2..<line.upperBound
    if kind.isPseudo {
      defect = addPseudo(bytes, value, kind)
    } else {
      hasRegular = true
      defect = addRegular(bytes, line, value, kind)
    }
  }

  private mutating func addPseudo(
    _ bytes: Span<UInt8>,
    _ value: Range<Int>,
    _ kind: FieldKind
  ) -> String? {
    if hasRegular { return "pseudo_field_behind_others" }
    if role == .trailers { return "pseudo_field_in_trailers" }
    let isOfRole = (kind == .status) == (role == .response)
    guard isOfRole, let member = Self.member(kind) else { return "unknown_pseudo_field" }
    guard seen.insert(member).inserted else { return "repeated_pseudo_field" }
    // What stands in a start line: no space, and no control byte.
    let unfit = ByteSearch.firstIndex(in: bytes, from: value.lowerBound, to: value.upperBound) {
      $0 .<= Self.space .| $0 .== Self.delete
    }
    guard unfit == nil else { return "malformed_pseudo_field" }
    let start = pseudo.count
    pseudo.append(copying: bytes.extracting(value))
    let range = start..<pseudo.count
    switch kind {
    case .method:
      method = range
      guard HTTPGrammar.isToken(bytes.extracting(value)) else { return "malformed_method" }
    case .scheme: scheme = range
    case .authority: authority = range
    case .path: path = range
    case .protocolName:
      protocolName = Array(copying: bytes.extracting(value))
      guard HTTPGrammar.isToken(protocolName.span) else { return "malformed_protocol" }
    default: return takeStatus(bytes.extracting(value))
    }
    return nil
  }

  private static let space = ByteSearch.Block(repeating: 0x20)
  private static let delete = ByteSearch.Block(repeating: 0x7F)

  private static func member(_ kind: FieldKind) -> Set? {
    switch kind {
    case .method: .method
    case .scheme: .scheme
    case .authority: .authority
    case .path: .path
    case .protocolName: .protocolName
    case .status: .status
    default: nil
    }
  }

  private mutating func takeStatus(_ text: Span<UInt8>) -> String? {
    guard text.count == 3 else { return "malformed_status" }
    var number: UInt16 = 0
    for index in text.indices {
      let digit = text[index] &- 0x30
      guard digit < 10 else { return "malformed_status" }
      number = number * 10 + UInt16(digit)
    }
    // 101 does not exist in HTTP/2: RFC 9113, section 8.6.
    guard 100...599 ~= number, number != 101 else { return "malformed_status" }
    status = number
    return nil
  }

  private mutating func addRegular(
    _ bytes: Span<UInt8>,
    _ line: Range<Int>,
    _ value: Range<Int>,
    _ kind: FieldKind
  ) -> String? {
    switch kind {
    case .malformedName: return "malformed_field_name"
    case .malformedValue: return "malformed_field_value"
    case .connectionSpecific: return "connection_specific_field"
    case .te:
      guard bytes.extracting(value).isText("trailers") else { return "connection_specific_field" }
    case .cookie where role == .request:
      // Crumbs become one field again: RFC 9113, section 8.2.3.
      if !cookie.isEmpty { cookie += [0x3B, 0x20] }
      cookie.append(copying: bytes.extracting(value))
      return nil
    case .contentLength:
      if role == .trailers { return "forbidden_trailer" }
      guard contentLength == nil else { return "repeated_content_length" }
      guard let length = Self.number(bytes.extracting(value)) else {
        return "malformed_content_length"
      }
      contentLength = length
    case .host where role != .response:
      if role == .trailers { return "forbidden_trailer" }
      guard !hasHost else { return "repeated_host" }
      hasHost = true
      host = pseudo.count..<pseudo.count + value.count
      pseudo.append(copying: bytes.extracting(value))
      return nil
    case .priority where role == .request:
      priority = Priority(bytes.extracting(value))
    default: break
    }
    lines.append(copying: bytes.extracting(line))
    lines.append(0x0D)
    lines.append(0x0A)
    return nil
  }

  private static func number(_ text: Span<UInt8>) -> UInt64? {
    // Eighteen digits cannot overflow.
    guard 1...18 ~= text.count else { return nil }
    var number: UInt64 = 0
    for index in text.indices {
      let digit = text[index] &- 0x30
      guard digit < 10 else { return nil }
      number = number * 10 + UInt64(digit)
    }
    return number
  }

  // MARK: All fields

  /// Judges the fields as a whole and writes ``head``; `isLast`: no content follows.
  mutating func finish(
    isLast: Bool,
    allowsExtendedConnect: Bool,
    answersHead: Bool,
    answersTunnel: Bool = false
  ) {
    guard defect == nil, !isTooLarge else { return }
    switch role {
    case .trailers:
      swap(&head, &lines)
    case .response:
      guard seen.contains(.status) else {
        defect = "missing_status"
        return
      }
      opensTunnel = answersTunnel && 200..<300 ~= status
      composeResponse(isLast: isLast, answersHead: answersHead)
    case .request:
      defect = judgeRequest(isLast: isLast, allowsExtendedConnect: allowsExtendedConnect)
      if defect == nil { composeRequest(isLast: isLast) }
    }
  }

  private mutating func judgeRequest(isLast: Bool, allowsExtendedConnect: Bool) -> String? {
    guard seen.contains(.method) else { return "missing_method" }
    let pseudo = pseudo
    let name = pseudo.span.extracting(method)
    isHead = name.isText("HEAD")
    isConnect = name.isText("CONNECT")
    let isExtended = seen.contains(.protocolName)
    if isExtended, !isConnect || !allowsExtendedConnect { return "unknown_pseudo_field" }
    if isConnect, !isExtended {
      // RFC 9113, section 8.5.
      guard seen.isDisjoint(with: [.scheme, .path]) else { return "malformed_connect" }
      guard seen.contains(.authority) else { return "malformed_connect" }
    } else {
      guard seen.contains(.scheme) else { return "missing_scheme" }
      let text = pseudo.span.extracting(scheme)
      guard text.isText("http") || text.isText("https") else { return "unsupported_scheme" }
      guard seen.contains(.path), !path.isEmpty else { return "missing_path" }
      let isAsterisk = path.count == 1 && pseudo[path.lowerBound] == 0x2A && name.isText("OPTIONS")
      guard pseudo[path.lowerBound] == 0x2F || isAsterisk else { return "malformed_path" }
    }
    if seen.contains(.authority), authority.isEmpty { return "empty_authority" }
    if hasHost, seen.contains(.authority),
      !equalIgnoringCase(pseudo.span.extracting(authority), pseudo.span.extracting(host))
    {
      return "conflicting_host"
    }
    if isLast, let contentLength, contentLength > 0 { return "content_length_mismatch" }
    return nil
  }

  /// More than the constants of a head have together.
  private static let wordsCount = 96

  private mutating func composeRequest(isLast: Bool) {
    let isTunnel = !protocolName.isEmpty
    let pseudo = pseudo
    head.reserveCapacity(pseudo.count + lines.count + cookie.count + Self.wordsCount)
    if isTunnel {
      head.put("GET ")
    } else {
      head.append(copying: pseudo.span.extracting(method))
      head.append(0x20)
    }
    head.append(copying: pseudo.span.extracting(isConnect && !isTunnel ? authority : path))
    head.put(" HTTP/1.1\r\n")
    if seen.contains(.authority) || hasHost {
      head.put("Host: ")
      head.append(copying: pseudo.span.extracting(seen.contains(.authority) ? authority : host))
      head.put("\r\n")
    }
    head += lines
    if !cookie.isEmpty {
      head.put("cookie: ")
      head += cookie
      head.put("\r\n")
    }
    if isTunnel {
      head.put("Connection: Upgrade\r\nUpgrade: ")
      head += protocolName
      head.put("\r\n")
    } else if !isLast, contentLength == nil, !isConnect {
      isChunked = true
      head.put("Transfer-Encoding: chunked\r\n")
    }
    head.put("\r\n")
  }

  private mutating func composeResponse(isLast: Bool, answersHead: Bool) {
    head.reserveCapacity(lines.count + Self.wordsCount)
    head.put("HTTP/1.1 ")
    // RFC 8441, section 5: 101 is what 200 is in HTTP/1.1.
    let status = opensTunnel ? 101 : self.status
    head.append(UInt8(0x30 + status / 100))
    head.append(UInt8(0x30 + status / 10 % 10))
    head.append(UInt8(0x30 + status % 10))
    head.put(" \r\n")
    head += lines
    if opensTunnel {
      head.put("Connection: Upgrade\r\nUpgrade: websocket\r\n")
    } else if status >= 200, status != 204, status != 304, contentLength == nil, !answersHead {
      isChunked = !isLast
      head.put(isLast ? "Content-Length: 0\r\n" : "Transfer-Encoding: chunked\r\n")
    }
    head.put("\r\n")
  }
}

extension [UInt8] {
  /// Appends a constant.
  mutating func put(_ text: String) { append(contentsOf: text.utf8) }
}
