/// Fields of a message, in their order.
public struct Fields: Sendable {
  /// Name, as it was sent, and value.
  public var lines: [(name: String, value: String)] = []

  /// The value of the first field with this name.
  public subscript(name: String) -> String? {
    lines.first { $0.name.lowercased() == name.lowercased() }?.value
  }

  /// How many fields have this name.
  public func count(of name: String) -> Int {
    lines.count { $0.name.lowercased() == name.lowercased() }
  }

  init(_ text: some StringProtocol) {
    for line in text.split(separator: "\r\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      lines.append((String(line[..<colon]), String(value)))
    }
  }
}

/// An answer as a client sees it.
public struct Answer: Sendable {
  /// Whether all of the answer came.
  public enum Ending: Hashable, Sendable {
    /// All came, as its framing says.
    case complete
    /// The connection ended within the body.
    case truncated
    /// The connection was reset within the body.
    case reset
  }

  /// The status.
  public var status: Int
  /// The first line.
  public var line: String
  /// The fields of the head.
  public var fields: Fields
  /// The body without its framing.
  public var body: [UInt8] = []
  /// The fields behind a chunked body.
  public var trailers = Fields("")
  /// How the body ended.
  public var ending = Ending.complete
  /// The statuses of the interim answers before it.
  public var interim: [Int] = []
  /// Their heads.
  public var interimHeads: [String] = []

  /// The body as text.
  public var text: String { String(decoding: body, as: UTF8.self) }

  /// The parts of a body in `multipart/byteranges`, each with its fields; empty: it is in another form.
  public var parts: [(fields: Fields, body: [UInt8])] {
    let form = "multipart/byteranges; boundary="
    guard let type = fields["content-type"], type.hasPrefix(form) else { return [] }
    let mark = Array("\r\n--\(type.dropFirst(form.count))".utf8)
    var pieces: [[UInt8]] = []
    var start = 0
    while let end = firstIndex(of: mark, in: body, from: start) {
      pieces.append(Array(body[start..<end]))
      start = end + mark.count
    }
    guard pieces.first?.isEmpty == true, Array(body[start...]) == Array("--\r\n".utf8) else {
      return []
    }
    return pieces.dropFirst().compactMap { piece in
      guard piece.starts(with: [13, 10]),
        let end = firstIndex(of: [13, 10, 13, 10], in: piece)
      else { return nil }
      return (
        Fields(String(decoding: piece[2..<end + 2], as: UTF8.self)), Array(piece[(end + 4)...])
      )
    }
  }

  init(head: [UInt8]) throws {
    let text = String(decoding: head, as: UTF8.self)
    let lines = text.split(separator: "\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    line = String(lines[0])
    let words = line.split(separator: " ")
    guard words.count > 1, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
      throw PeerError("not an answer: \(text)")
    }
    self.status = status
    fields = Fields(lines[1])
  }
}

/// A request as a member sees it.
public struct Request: Sendable {
  /// The method.
  public var method: String
  /// The target.
  public var target: String
  /// The fields of the head.
  public var fields: Fields
  /// The body without its framing.
  public var body: [UInt8] = []
  /// The fields behind a chunked body.
  public var trailers = Fields("")
}

extension Wire {
  /// The next answer, with the interim ones before it; one that is to HEAD has no body.
  ///
  /// - Throws: ``Wire/Failure`` when the connection ends before the head is complete; an end within
  ///   the body is told by ``Answer/ending``.
  public func receiveAnswer(isToHead: Bool = false) throws -> Answer {
    var interim: [Int] = []
    var heads: [String] = []
    while true {
      let head = try receive(through: "\r\n\r\n")
      var answer = try Answer(head: head)
      if answer.status < 200, answer.status != 101 {
        interim.append(answer.status)
        heads.append(String(decoding: head, as: UTF8.self))
        continue
      }
      answer.interim = interim
      answer.interimHeads = heads
      let hasBody = !isToHead && ![101, 204, 304].contains(answer.status)
      if hasBody { try receiveBody(of: &answer) }
      return answer
    }
  }

  private func receiveBody(of answer: inout Answer) throws {
    do {
      if answer.fields["transfer-encoding"]?.lowercased() == "chunked" {
        answer.trailers = try receiveChunks(into: &answer.body)
      } else if let length = answer.fields["content-length"].flatMap({ Int($0) }) {
        while answer.body.count < length {
          let part = try receive(atMost: length - answer.body.count)
          guard !part.isEmpty else { throw Failure.ended }
          answer.body += part
        }
      } else {
        while true {
          let part = try receive()
          if part.isEmpty { break }
          answer.body += part
        }
      }
    } catch Failure.ended {
      answer.ending = .truncated
    } catch Failure.reset {
      answer.ending = .reset
    }
  }

  private func receiveChunks(into body: inout [UInt8]) throws -> Fields {
    while true {
      let line = String(decoding: try receive(through: "\r\n").dropLast(2), as: UTF8.self)
      guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else {
        throw PeerError("not the size of a chunk: \(line)")
      }
      guard size > 0 else { break }
      var left = size
      while left > 0 {
        let part = try receive(atMost: left)
        guard !part.isEmpty else { throw Failure.ended }
        body += part
        left -= part.count
      }
      guard try receive(exactly: 2) == [13, 10] else { throw PeerError("no end of a chunk") }
    }
    var trailers = ""
    while true {
      let line = String(decoding: try receive(through: "\r\n"), as: UTF8.self)
      if line == "\r\n" { return Fields(trailers) }
      trailers += line
    }
  }

  /// The head of the next request, or nil when the connection ends before one.
  ///
  /// - Throws: ``Wire/Failure`` when the connection ends within the head.
  public func receiveRequestHead() throws -> Request? {
    let first = try receive()
    if first.isEmpty { return nil }
    putBack(first)
    let text = String(decoding: try receive(through: "\r\n\r\n"), as: UTF8.self)
    let lines = text.split(separator: "\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let words = lines[0].split(separator: " ").map(String.init)
    guard words.count == 3 else { throw PeerError("not a request: \(text)") }
    return Request(method: words[0], target: words[1], fields: Fields(lines[1]))
  }

  /// The body that follows `request`'s head.
  ///
  /// - Throws: ``Wire/Failure`` when the connection ends within it.
  public func receiveBody(of request: inout Request) throws {
    if request.fields["transfer-encoding"] != nil {
      request.trailers = try receiveChunks(into: &request.body)
    } else if let length = request.fields["content-length"].flatMap({ Int($0) }) {
      request.body = try receive(exactly: length)
    }
  }

  /// The next request with its body; nil when the connection ends before one.
  ///
  /// - Throws: ``Wire/Failure`` when the connection ends within it.
  public func receiveRequest() throws -> Request? {
    guard var request = try receiveRequestHead() else { return nil }
    try receiveBody(of: &request)
    return request
  }
}
