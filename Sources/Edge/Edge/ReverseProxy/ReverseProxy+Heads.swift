import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import Routing

/// The heads as they are sent on: kept fields are copied in blocks, the others written anew.
extension ReverseProxy {
  /// Writes the request's head for the member, with its last empty line.
  func composeRequest(
    _ head: borrowing Lent,
    into out: inout Lent
  ) throws(ExchangeError) {
    let bytes = head.bytes
    try out.put(bytes.extracting(exchange.request.methodRange.range))
    try out.put(" ")
    try putTarget(bytes, into: &out)
    try out.put(" HTTP/1.1\r\nHost: ")
    try putHost(bytes, into: &out)
    try out.put("\r\n")
    try putFields(exchange.request.fields, bytes, without: route.request, into: &out)
    if exchange.sendsChunks { try out.put("Transfer-Encoding: chunked\r\n") }
    if exchange.request.wantsUpgrade, let line = exchange.request.first(.upgrade) {
      try out.put("Connection: Upgrade\r\nUpgrade: ")
      try out.put(bytes.extracting(line.valueRange.range))
      try out.put("\r\n")
    } else if exchange.request.acceptsTrailers {
      try out.put("Connection: TE\r\nTE: trailers\r\n")
    }
    if let site = exchange.site, site.tellsMembers {
      try client.putForwarded(exchange, of: site, bytes, into: &out)
    }
    if let grants = exchange.grants {
      for grant in grants {
        try out.put(grant.passed.field)
        try out.put(": ")
        try out.put(grant.value)
        try out.put("\r\n")
      }
    }
    if route.request.adds {
      try putAdded(by: route.request, bytes, answer: Span(), into: &out)
    }
    try out.put("\r\n")
  }

  /// Writes the fields that rules add.
  func putAdded(
    by rules: Route.FieldRules,
    _ head: Span<UInt8>,
    answer: Span<UInt8>,
    into out: inout Lent
  ) throws(ExchangeError) {
    try rules.put(exchange, client, head, answer: answer, into: &out)
  }

  private func putTarget(_ bytes: Span<UInt8>, into out: inout Lent) throws(ExchangeError) {
    if let rewrite = route.rewrite {
      try rewrite.write(to: &out, exchange, client, bytes, answer: Span())
      return
    }
    guard exchange.request.form != .asterisk else {
      try out.put("*")
      return
    }
    var path = exchange.request.path.range
    let prefix = route.stripPrefix
    if !prefix.isEmpty,
      let count = PathEscapes.count(of: prefix.span, in: bytes.extracting(path))
    {
      path = path.lowerBound + count..<path.upperBound
    }
    if path.isEmpty || bytes[path.lowerBound] != 0x2F { try out.put("/") }
    try out.put(bytes.extracting(path))
    if exchange.request.hasQuery {
      try out.put("?")
      try out.put(bytes.extracting(exchange.request.query.range))
    }
  }

  private func putHost(_ bytes: Span<UInt8>, into out: inout Lent) throws(ExchangeError) {
    switch upstream.plan.host {
    case .client:
      // HTTP/1.0 may come without a host; the member gets a name that is not empty.
      if exchange.request.authority.isEmpty {
        try out.put(exchange.member?.name ?? "")
      } else {
        try out.put(bytes.extracting(exchange.request.authority.range))
      }
    case .member: try out.put(exchange.member?.name ?? "")
    case .literal(let text): try out.put(text)
    }
  }

  /// Writes the answer's head without its last empty line: what becomes of the body and of the
  /// connection is written behind it.
  func composeResponseHead(
    _ answer: borrowing Lent,
    into out: inout Lent
  ) throws(ExchangeError) {
    let bytes = answer.bytes
    try out.put("HTTP/1.1")
    // Status and reason, behind the member's own version.
    let line = exchange.response.startLine.range
    try out.put(bytes.extracting(line.lowerBound + 8..<line.upperBound))
    // A phrase may be missing, the space before it may not. RFC 9112, section 4.
    if line.count <= 13 { try putReason(behind: line.count, into: &out) }
    try out.put("\r\n")
    try putFields(exchange.response.fields, bytes, without: route.response, into: &out)
    if let affinity = upstream.affinity, !exchange.response.isInformational, !client.isFilling {
      try affinity.tell(exchange, bytes, client, into: &out)
    }
    if exchange.response.status == 101, let line = exchange.response.first(.upgrade) {
      try out.put("Connection: Upgrade\r\nUpgrade: ")
      try out.put(bytes.extracting(line.valueRange.range))
      try out.put("\r\n")
    }
    if let via = exchange.site?.via, !via.isEmpty {
      try out.put("Via: 1.1 ")
      try out.put(via)
      try out.put("\r\n")
    }
  }

  /// Writes the phrase that is missing, as it does where a member speaks HTTP/2: readers of HTTP/1.1 are known
  /// that want one.
  private func putReason(behind count: Int, into out: inout Lent) throws(ExchangeError) {
    if count == 12 { try out.put(" ") }
    if client.carrier == nil { try out.put(ReasonPhrase.text(of: exchange.response.status)) }
  }

  /// Copies the lines that stay, in as few blocks as possible.
  private func putFields(
    _ fields: FieldLines,
    _ bytes: Span<UInt8>,
    without rules: Route.FieldRules,
    into out: inout Lent
  ) throws(ExchangeError) {
    var start = 0
    var end = 0
    let lines = fields.span
    for index in lines.indices {
      let line = lines[index]
      if !line.isHopByHop, !rules.dropped.contains(line, in: bytes) {
        if line.nameRange.lowerBound != end {
          try out.put(bytes.extracting(start..<end))
          start = line.nameRange.lowerBound
        }
        end = Int(line.lineEnd)
      }
    }
    try out.put(bytes.extracting(start..<end))
  }
}
