import HTTP1
import HTTPCaching
import HTTPMessage

/// A request as the edge has read it.
struct Asked {
  var head = RequestHead()
  var bytes: [UInt8]

  init(_ fields: String..., method: String = "GET", target: String = "/a/b?q") {
    self.init(fields: fields, method: method, target: target)
  }

  init(fields: [String], method: String = "GET", target: String = "/a/b?q") {
    let lines = ["\(method) \(target) HTTP/1.1", "Host: example.com"] + fields
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    self.bytes = bytes
    do throws(MessageError) {
      head = try readRequestHead(bytes)
    } catch {
      preconditionFailure("the request of a test cannot be read: \(error)")
    }
  }

  /// What a cache reads of it.
  func cached(by policy: CachePolicy = CachePolicy()) -> CacheRequest {
    CacheRequest(head, in: bytes.span, by: policy)
  }
}

/// A response as the edge has read it.
struct Answered {
  var head = ResponseHead()
  var bytes: [UInt8]

  init(_ status: Int, _ fields: String...) { self.init(status, fields: fields) }

  init(_ status: Int, fields: [String]) {
    let lines = ["HTTP/1.1 \(status) Some"] + fields
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    self.bytes = bytes
    do throws(MessageError) {
      head = try readResponseHead(bytes)
    } catch {
      preconditionFailure("the response of a test cannot be read: \(error)")
    }
  }

  /// What a cache decides about storing it as the answer to a request.
  func storing(
    for request: Asked = Asked(),
    by policy: CachePolicy = CachePolicy(),
    delay: Int64 = 0
  ) -> Storing {
    policy.storing(
      head,
      in: bytes.span,
      for: request.cached(by: policy),
      requestTime: now.advanced(byMilliseconds: -delay),
      responseTime: now
    )
  }

  /// The terms that it is stored with.
  func terms(for request: Asked = Asked(), by policy: CachePolicy = CachePolicy()) -> StoredTerms? {
    guard case .store(let terms) = storing(for: request, by: policy) else { return nil }
    return terms
  }
}

private func readRequestHead(_ bytes: [UInt8]) throws(MessageError) -> RequestHead {
  var parser = RequestParser(limits: HeadLimits())
  var head = RequestHead()
  guard try parser.parse(bytes.span, into: &head) else { preconditionFailure("a head is whole") }
  return head
}

private func readResponseHead(_ bytes: [UInt8]) throws(MessageError) -> ResponseHead {
  var parser = ResponseParser(limits: HeadLimits())
  var head = ResponseHead()
  guard try parser.parse(bytes.span, answering: .get, into: &head) else {
    preconditionFailure("a head is whole")
  }
  return head
}

/// When every response of the tests comes: in the middle of a second.
let now = Moment(milliseconds: 1_790_000_000_500)

/// A moment some seconds later.
func later(_ seconds: Double) -> Moment {
  now.advanced(byMilliseconds: Int64((seconds * 1000).rounded()))
}

/// The text of a date some seconds from ``now``.
func date(_ seconds: Int64 = 0) -> String {
  let text = HTTPDate(secondsSince1970: now.date.secondsSince1970 + seconds).text
  var bytes: [UInt8] = []
  for index in text.bytes.indices { bytes.append(text.bytes[index]) }
  return String(decoding: bytes, as: UTF8.self)
}

/// The text of bytes.
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
