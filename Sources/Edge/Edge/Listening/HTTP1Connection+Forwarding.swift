import Configuration
import HTTPMessage
import MartletBytes
import Routing
import MartletLoop
import MartletSystem
import MartletTelemetry

/// Who the client is, and how members are told.
extension HTTP1Connection {
  /// Whether what the peer says about the client is taken.
  private func isTrusted(_ exchange: Exchange) -> Bool {
    guard let trusted = exchange.site?.trusted, let words = peer.hostWords else { return false }
    return trusted.contains(words)
  }

  /// The client's address: the peer's, or behind trusted proxies the last one that is not trusted.
  func clientAddress(of exchange: Exchange, _ head: Span<UInt8>) -> SocketAddress {
    guard let trusted = exchange.site?.trusted, isTrusted(exchange) else { return peer }
    var nearest = peer
    for line in exchange.request.fields.reversed() where line.name == .xForwardedFor {
      var end = line.valueRange.upperBound
      let start = line.valueRange.lowerBound
      // The list is read from its end: each proxy has added who it had before it.
      while end > start {
        var comma = end - 1
        while comma >= start, head[comma] != 0x2C { comma -= 1 }
        let element = HTTPGrammar.trimmed(comma + 1..<end, in: head)
        let text = String(decoding: head.extracting(element))
        guard let address = SocketAddress(host: text, port: 0) else { return nearest }
        nearest = address
        guard let words = address.hostWords, trusted.contains(words) else { return nearest }
        end = max(comma, start)
      }
    }
    return nearest
  }

  /// Writes the fields that tell a member about the client.
  func putForwarded(
    _ exchange: Exchange,
    of site: Site,
    _ head: Span<UInt8>,
    into out: inout Lent
  ) throws(ExchangeError) {
    let isTrusted = site.trusted == nil ? false : isTrusted(exchange)
    if site.forwarded == .xForwarded || site.forwarded == .both {
      try out.put("X-Forwarded-For: ")
      if isTrusted { try putList(.xForwardedFor, exchange, head, into: &out) }
      try putPeer(into: &out)
      try out.put("\r\nX-Forwarded-Proto: ")
      if isTrusted, let line = exchange.request.first(.xForwardedProto) {
        try out.put(head.extracting(line.valueRange.range))
      } else {
        try out.put(scheme)
      }
      try out.put("\r\nX-Forwarded-Host: ")
      if isTrusted, let line = exchange.request.first(.xForwardedHost) {
        try out.put(head.extracting(line.valueRange.range))
      } else {
        try out.put(head.extracting(exchange.request.authority.range))
      }
      try out.put("\r\n")
    }
    if site.forwarded == .forwarded || site.forwarded == .both {
      try out.put("Forwarded: ")
      if isTrusted { try putList(.forwarded, exchange, head, into: &out) }
      try putForwardedElement(exchange, head, into: &out)
      try out.put("\r\n")
    }
    if !site.via.isEmpty {
      try out.put("Via: ")
      try putList(.via, exchange, head, into: &out)
      try out.put(exchange.request.version == .http10 ? "1.0 " : "1.1 ")
      try out.put(site.via)
      try out.put("\r\n")
    }
  }

  /// Writes the values that the request has of a list field, each with a comma behind it.
  private func putList(
    _ name: FieldName,
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    into out: inout Lent
  ) throws(ExchangeError) {
    for line in exchange.request.fields where line.name == name && !line.valueRange.isEmpty {
      try out.put(head.extracting(line.valueRange.range))
      try out.put(", ")
    }
  }

  /// One element of Forwarded; RFC 7239, section 4.
  private func putForwardedElement(
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    into out: inout Lent
  ) throws(ExchangeError) {
    try out.put("for=")
    switch peer {
    case .ipv4: try putPeer(into: &out)
    case .ipv6:
      try out.put("\"[")
      try putPeer(into: &out)
      try out.put("]\"")
    // An obfuscated identifier, section 6.3: a Unix socket has no address.
    case .unix: try out.put("_unix")
    }
    if !exchange.request.authority.isEmpty {
      try out.put(";host=\"")
      try out.put(head.extracting(exchange.request.authority.range))
      try out.put("\"")
    }
    try out.put(";proto=")
    try out.put(scheme)
  }

  /// The scheme that the client has used, as far as is known.
  var scheme: StaticString {
    if tls != nil { return "https" }
    guard let preface else { return "http" }
    return preface.isEncrypted ? "https" : "http"
  }

  private func putPeer(into out: inout Lent) throws(ExchangeError) {
    switch peer {
    case .ipv4(let host, _):
      guard out.freeCount >= 15 else { throw ExchangeError(.headTooLarge) }
      for shift: UInt32 in [24, 16, 8] {
        out.append(decimal: UInt64(host >> shift & 255))
        out.append(0x2E)
      }
      out.append(decimal: UInt64(host & 255))
    case .ipv6: try out.put(peer.hostText)
    case .unix: try out.put("unix:")
    }
  }
}
