import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletTelemetry
import Routing
import StaticFiles

/// Answers with files.
///
/// The usual request needs no coroutine: the path is known, and head and bytes leave with one call, or with two
/// where the kernel sends the file. What has to wait goes on in a coroutine from where it stands: the
/// exchange's hand holds what is to be sent.
extension HTTP1Connection {
  /// Answers with a file, as far as that can be done without waiting.
  ///
  /// - Returns: Whether all of it was sent.
  func answerFileNow(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ head: Span<UInt8>
  ) throws(ExchangeError) -> Bool {
    let method = exchange.request.method
    guard method == .get || method == .head, exchange.pace == nil, exchange.body.hasEnded,
      plan.uploads == nil || method == .get, wantedDigest(exchange, head) == nil
    else { return false }
    // Folders and failures are for the coroutine, which finds the same once more.
    let entry = worker.shelf(of: plan).find(filePath(exchange, head), for: worker)
    guard case .file(let file) = entry.content else { return false }
    try compose(exchange, file.representation(for: exchange.request, in: head), head)
    if exchange.coding != nil { return false }
    if exchange.hand.stored != nil { return try sendStoredNow(exchange) == .all }
    switch try sendFileNow(exchange) {
    case .all: return true
    case .full, .pause: return false
    }
  }

  /// Answers with a file, or goes on with what is in hand of one.
  func answerFile(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    if exchange.hand.out == nil, exchange.hand.file == nil, exchange.hand.stored == nil {
      guard try await prepareFile(exchange, plan, head) else { return }
    }
    if exchange.hand.stored != nil {
      try await sendStored(exchange)
      return
    }
    if exchange.pace != nil || exchange.coding != nil { return try await sendBuffers(exchange) }
    while true {
      switch try sendFileNow(exchange) {
      case .all: return
      case .full:
        do throws(StreamError) {
          try await stream.writable(by: sendDeadline(exchange))
        } catch {
          throw ExchangeError(sending: error)
        }
      case .pause: await loop.yield()
      }
    }
  }

  /// Composes the answer to a request.
  ///
  /// - Returns: False when it was sent already.
  private func prepareFile(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> Bool {
    switch exchange.request.method {
    case .get, .head: break
    case .options:
      exchange.status = 204
      try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
        try out.put("Allow: ")
        try out.put(plan.allowed)
        try out.put("\r\n")
        try offerUploads(exchange, plan, &out)
      }
      return false
    default: throw ExchangeError(.methodNotAllowed)
    }
    let path = filePath(exchange, head.bytes)
    let entry = worker.shelf(of: plan).find(path, for: worker)
    switch entry.content {
    case .file(let file):
      let representation = file.representation(for: exchange.request, in: head.bytes)
      let line = try await digestLine(exchange, representation, head)
      try compose(exchange, representation, head.bytes, digest: line)
      return true
    case .lacksSlash:
      try await addSlash(exchange, head)
      return false
    case .listing(let folder):
      try await showFolder(exchange, plan, folder, head)
      return false
    case .nothing(let absence): throw ExchangeError(absence)
    }
  }

  /// The path of a request as files are looked for by it.
  @_lifetime(copy head)
  func filePath(_ exchange: Exchange, _ head: Span<UInt8>) -> Span<UInt8> {
    var path = exchange.request.path.range
    if let prefix = exchange.route?.stripPrefix, !prefix.isEmpty,
      let count = PathEscapes.count(of: prefix.span, in: head.extracting(path))
    {
      path = path.lowerBound + count..<path.upperBound
    }
    return head.extracting(path)
  }

  /// Sends the client to the same path with a slash behind it.
  private func addSlash(
    _ exchange: Exchange,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    exchange.status = 301
    let bytes = head.bytes
    let path = exchange.request.path.range
    // Two slashes in front would name another host (RFC 3986, section 4.2).
    var start = path.lowerBound
    while start + 1 < path.upperBound, bytes[start] == 0x2F, bytes[start + 1] == 0x2F { start += 1 }
    var location: [UInt8] = Array(copying: bytes.extracting(start..<path.upperBound))
    location.append(0x2F)
    if exchange.request.hasQuery {
      location.append(0x3F)
      location.append(copying: bytes.extracting(exchange.request.query.range))
    }
    let target = location
    try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
      try out.put("Location: ")
      try out.put(target)
      try out.put("\r\n")
    }
  }

  // MARK: The head

  /// Decides what of a file is sent, and puts the head in hand, with the file's bytes if they fit.
  ///
  /// - Throws: ``ExchangeError`` with 412 or 416.
  func compose(
    _ exchange: Exchange,
    _ representation: Representation,
    _ head: Span<UInt8>,
    digest: [UInt8] = []
  ) throws(ExchangeError) {
    let conditions = Preconditions(of: exchange.request)
    var parts: RangeParts?
    var range: Range<Int64> = 0..<representation.byteCount
    exchange.status = 200
    // Conditions are about what is read; a file may be the answer to a request that has done something.
    let method = exchange.request.method
    if !conditions.isEmpty, method == .get || method == .head {
      let now = HTTPDate(secondsSince1970: worker.clock.seconds)
      let tag = representation.tag
      let current = Preconditions.Validators(tag: tag.span, modified: representation.modified)
      switch conditions.outcome(for: current, now: now, in: head) {
      case .proceed: break
      case .notModified: exchange.status = 304
      case .failed: throw ExchangeError(.preconditionFailed)
      }
      if exchange.status == 200,
        let value = conditions.range(of: current, now: now, in: head)
      {
        switch RangeSelection(head.extracting(value), length: representation.byteCount) {
        case .whole: break
        case .single(let part):
          exchange.status = 206
          range = part
        case .several(let ranges):
          exchange.status = 206
          parts = RangeParts(
            ranges,
            of: exchange.hand.named?.type(of: representation) ?? representation.type,
            length: representation.byteCount,
            boundary: worker.boundary()
          )
        case .unsatisfiable:
          throw ExchangeError(.rangeNotSatisfiable, detail: "\(representation.byteCount)")
        }
      }
    }
    let isAlone = exchange.status == 304 || exchange.request.method == .head
    // Where bytes are copied anyway, as many as possible go with the head.
    var goesTogether = !isAlone && !passesFiles && range.count > Self.smallBytes
    let isLong = exchange.hand.named.map { $0.lines.count > BufferSize.head.bytes / 2 } ?? false
    var out = loop.lend(goesTogether || isLong ? .body : .head)
    try putHead(exchange, representation, range, parts, digest, head, &out)
    exchange.headBytesSent = out.count
    if let plan = exchange.route?.compression {
      try beginCoding(plan, exchange, head, of: representation, &out)
      if exchange.coding != nil { goesTogether = true }
    }
    if !isAlone, exchange.hand.stored == nil {
      if let parts {
        exchange.hand.file = FileBody(representation, parts)
      } else if !range.isEmpty {
        try putBytes(FileBody(representation, range), exchange, goesTogether, &out)
      }
    }
    if exchange.coding != nil, exchange.hand.file == nil { _ = try codeWhole(&out, exchange) }
    exchange.hand.sent = 0
    exchange.hand.out = consume out
  }

  /// A file of which all goes with the head into one buffer, whatever the head says.
  private static let smallBytes = 8 << 10

  /// Puts bytes of a file behind the head: all that are kept if they fit, else as many as fit if the file is
  /// copied anyway, else none.
  private func putBytes(
    _ body: FileBody,
    _ exchange: Exchange,
    _ goesTogether: Bool,
    _ out: inout Lent
  ) throws(ExchangeError) {
    var body = body
    if let kept = body.keptRange, let bytes = body.representation.bytes {
      let count = min(kept.count, out.freeCount)
      if count == kept.count || goesTogether {
        out.append(bytes.span.extracting(kept.lowerBound..<kept.lowerBound + count))
        body.take(count)
      }
    } else if goesTogether {
      try fill(&out, from: &body)
    }
    if body.count > 0 { exchange.hand.file = body }
  }

  private func putHead(
    _ exchange: Exchange,
    _ representation: Representation,
    _ range: Range<Int64>,
    _ parts: RangeParts?,
    _ digest: [UInt8],
    _ head: Span<UInt8>,
    _ out: inout Lent
  ) throws(ExchangeError) {
    let status = exchange.status
    if status == 200 {
      out.append("HTTP/1.1 200 OK\r\nDate: ")
    } else if status == 304 {
      out.append("HTTP/1.1 304 Not Modified\r\nDate: ")
    } else {
      out.append("HTTP/1.1 206 Partial Content\r\nDate: ")
    }
    try out.put(worker.clock.httpDate)
    out.append("\r\n")
    if status == 200 {
      try out.put(exchange.hand.kept(of: representation.whole))
    } else if status == 304 {
      try out.put(exchange.hand.kept(of: representation.shared))
    } else if let parts {
      try out.put(exchange.hand.kept(of: representation.parts))
      try parts.putFields(to: &out)
    } else {
      try out.put(exchange.hand.kept(of: representation.part))
      out.append("Content-Range: bytes ")
      try out.put(decimal: UInt64(range.lowerBound))
      out.append("-")
      try out.put(decimal: UInt64(range.upperBound - 1))
      out.append("/")
      try out.put(decimal: UInt64(representation.byteCount))
      out.append("\r\nContent-Length: ")
      try out.put(decimal: UInt64(range.count))
      out.append("\r\n")
    }
    if status != 304 { try out.put(digest) }
    if let named = exchange.hand.named {
      try named.put(to: &out, withType: status != 304 && parts == nil)
    }
    if let rules = exchange.route?.response, rules.adds {
      try rules.put(exchange, self, head, answer: Span(), into: &out)
    }
    closeUnlessBodyIsShort(exchange)
    try putConnection(exchange, &out)
    try out.put("\r\n")
  }
}

extension ExchangeError {
  /// The failure that a path without a file is.
  init(_ absence: FileAbsence) {
    switch absence.kind {
    case .missing: self.init(.fileMissing, detail: absence.detail)
    case .forbidden: self.init(.fileForbidden, detail: absence.detail)
    case .failed: self.init(.fileFailed, detail: absence.detail)
    case .status(let status):
      self.init(.fileMissing, status: status, detail: absence.detail)
    }
  }
}
