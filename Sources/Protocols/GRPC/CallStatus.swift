/// The outcome of a call.
public enum CallStatus: UInt8, Hashable, Sendable, CaseIterable {
  /// It has succeeded.
  case ok = 0
  /// Its client gave it up.
  case cancelled = 1
  /// Nobody knows why it has failed.
  case unknown = 2
  /// What the client asks for can never be right.
  case invalidArgument = 3
  /// Its time was over.
  case deadlineExceeded = 4
  /// What it is about does not exist.
  case notFound = 5
  /// What it would make exists already.
  case alreadyExists = 6
  /// The client may not do that.
  case permissionDenied = 7
  /// Too much of something.
  case resourceExhausted = 8
  /// Things are not as they would have to be.
  case failedPrecondition = 9
  /// Somebody else was first.
  case aborted = 10
  /// Behind the end of something.
  case outOfRange = 11
  /// There is no such method.
  case unimplemented = 12
  /// Something is broken.
  case `internal` = 13
  /// The server cannot serve now.
  case unavailable = 14
  /// Data is lost.
  case dataLoss = 15
  /// The client has not said who it is.
  case unauthenticated = 16

  /// What a status of HTTP is to a client that calls.
  public init(http status: UInt16) {
    self =
      switch status {
      case 200..<300: .ok
      case 400: .internal
      case 401: .unauthenticated
      case 403: .permissionDenied
      // There is nothing to be called at this place.
      case 404, 405, 421, 501: .unimplemented
      case 408: .cancelled
      case 413, 414, 429, 431: .resourceExhausted
      case 499: .cancelled
      case 500: .internal
      case 502, 503: .unavailable
      case 504: .deadlineExceeded
      default: .unknown
      }
  }

  /// The status of HTTP that means the same, by which rules about answers judge.
  public var http: UInt16 {
    switch self {
    case .ok: 200
    case .invalidArgument, .failedPrecondition, .outOfRange: 400
    case .unauthenticated: 401
    case .permissionDenied: 403
    case .notFound: 404
    case .alreadyExists, .aborted: 409
    case .resourceExhausted: 429
    case .cancelled: 499
    case .unknown, .internal, .dataLoss: 500
    case .unimplemented: 501
    case .unavailable: 503
    case .deadlineExceeded: 504
    }
  }

  /// Reads the value of `grpc-status`; a number that nobody knows is ``unknown``, and nil is no number.
  public init?(_ text: Span<UInt8>) {
    guard 1...3 ~= text.count else { return nil }
    var number = 0
    for index in text.indices {
      let digit = text[index] &- 0x30
      guard digit < 10 else { return nil }
      number = number * 10 + Int(digit)
    }
    self = UInt8(exactly: number).flatMap { CallStatus(rawValue: $0) } ?? .unknown
  }

  /// Finds `grpc-status` among lines of fields; nil: it is not there, or no number.
  public init?(inLines lines: Span<UInt8>) {
    var start = 0
    while start < lines.count {
      var end = start
      while end < lines.count, lines[end] != 0x0A { end += 1 }
      if Self.isStatus(lines, at: start) {
        var value = start + Self.statusName.count..<end
        while let last = value.last, lines[last] <= 0x20 { value = value.dropLast() }
        while let first = value.first, lines[first] <= 0x20 { value = value.dropFirst() }
        self.init(lines.extracting(value))
        return
      }
      start = end + 1
    }
    return nil
  }

  private static func isStatus(_ lines: Span<UInt8>, at start: Int) -> Bool {
    guard lines.count - start >= statusName.count else { return false }
    for index in statusName.indices where lines[start + index] | 0x20 != statusName[index] | 0x20 {
      return false
    }
    return true
  }

  private static let statusName = Array("grpc-status:".utf8)

  /// What everybody calls it: `OK`, `DEADLINE_EXCEEDED`.
  public var name: String {
    switch self {
    case .ok: "OK"
    case .cancelled: "CANCELLED"
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .alreadyExists: "ALREADY_EXISTS"
    case .permissionDenied: "PERMISSION_DENIED"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .aborted: "ABORTED"
    case .outOfRange: "OUT_OF_RANGE"
    case .unimplemented: "UNIMPLEMENTED"
    case .internal: "INTERNAL"
    case .unavailable: "UNAVAILABLE"
    case .dataLoss: "DATA_LOSS"
    case .unauthenticated: "UNAUTHENTICATED"
    }
  }

  /// The value of `grpc-message` for a text: what is not printable ASCII, and `%`, is written as its
  /// bytes in hexadecimal.
  public static func encoded(message: String) -> [UInt8] {
    message.utf8.flatMap { byte -> [UInt8] in
      guard 0x20...0x7E ~= byte, byte != 0x25 else {
        return [0x25, Self.digits[Int(byte >> 4)], Self.digits[Int(byte & 15)]]
      }
      return [byte]
    }
  }

  private static let digits = Array("0123456789ABCDEF".utf8)

  /// Whether the value of Content-Type is that of a call: `application/grpc`, with whatever `+` or `;`
  /// says behind it.
  ///
  /// That for browsers is another one.
  public static func isCall(contentType text: Span<UInt8>) -> Bool {
    guard text.count >= callType.count else { return false }
    for index in callType.indices where text[index] | 0x20 != callType[index] | 0x20 {
      return false
    }
    guard text.count > callType.count else { return true }
    switch text[callType.count] {
    case 0x2B, 0x3B, 0x20, 0x09: return true
    default: return false
    }
  }

  private static let callType = Array("application/grpc".utf8)
}
