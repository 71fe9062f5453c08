/// Handlers: code in Swift that answers requests, Martlet's own and that of programs that have Martlet in them.
///
/// A handler is called on the loop of the client's connection, as soon as the head of a request has come; it reads
/// the body when it likes to, and what it writes goes to the client as fast as that takes it. The one difficulty is
/// that a loop has many connections: a handler never blocks its thread, it waits by `await`.
///
/// ```swift
/// let shop = Routes {
///   $0.get("/hello/:name") { request, response in
///     try await response.send("Hello, \(request.parameters["name"] ?? "you")\n")
///   }
/// }
/// ```
/// What answers requests.
///
/// Several requests are answered by one handler at once, on all loops; requests and answers themselves stay on theirs.
public protocol Handler: Sendable {
  /// Answers a request.
  ///
  /// - Throws: ``Refusal``, which becomes an answer with its status; anything else becomes 500 and a line in the
  ///   error log, and breaks off an answer that has begun.
  func handle(_ request: Request, _ response: Response) async throws
}

/// What a route does.
public typealias Action =
  @Sendable (_ request: Request, _ response: Response) async throws -> Void

/// A status in the place of an answer, with the page that the route has for it.
public struct Refusal: Error, Hashable, Sendable {
  /// 400 to 599.
  public let status: UInt16
  /// What the log says.
  public let detail: String

  /// Refuses a request.
  public init(_ status: UInt16, _ detail: String = "") {
    precondition((400...599).contains(status), "a refusal has a status between 400 and 599")
    (self.status, self.detail) = (status, detail)
  }
}

/// Why a handler cannot go on.
public enum HandlerFault: Error, Hashable, Sendable {
  /// The client has left, or did not send or take in time, or its body breaks the rules.
  case client(String)
  /// The handler has done what cannot be done.
  case misuse(String)
  /// The session cannot be kept.
  case session(String)
}

/// What a handler's answer begins with.
public struct AnswerHead: Hashable, Sendable {
  /// The status.
  public var status: UInt16
  /// The fields, without those that tell how the body ends.
  public var fields: [(name: String, value: String)]
  /// How long the body is; nil: that shows.
  public var length: Int?

  /// Creates a head.
  public init(status: UInt16, fields: [(name: String, value: String)], length: Int?) {
    (self.status, self.fields, self.length) = (status, fields, length)
  }

  /// Whether both say the same.
  public static func == (left: AnswerHead, right: AnswerHead) -> Bool {
    left.status == right.status && left.length == right.length
      && left.fields.count == right.fields.count
      && zip(left.fields, right.fields).allSatisfy { $0 == $1 }
  }

  /// Hashes what ``==(_:_:)`` compares.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(status)
    hasher.combine(length)
    for field in fields {
      hasher.combine(field.name)
      hasher.combine(field.value)
    }
  }
}

/// What brings requests to handlers and takes their answers away: a connection of the edge.
public protocol RequestCarrier: AnyObject {
  /// The next piece of the request's body; nil: it has ended.
  func receive() async throws(HandlerFault) -> [UInt8]?
  /// Sends a head and a whole body.
  func send(_ head: AnswerHead, _ body: [UInt8]) async throws(HandlerFault)
  /// Sends a head, behind which pieces come.
  func begin(_ head: AnswerHead) async throws(HandlerFault)
  /// Sends a piece of the body, or its end.
  func send(piece: [UInt8], isLast: Bool) async throws(HandlerFault)
  /// Becomes a WebSocket.
  func upgrade(_ fields: [(name: String, value: String)]) async throws(HandlerFault)
  /// Bytes that came behind an upgrade, at most once the time of silence is over; empty: the client has ended, nil:
  /// the time is over.
  func read() async throws(HandlerFault) -> [UInt8]?
  /// Sends bytes behind an upgrade.
  func write(_ bytes: [UInt8]) async throws(HandlerFault)
}
