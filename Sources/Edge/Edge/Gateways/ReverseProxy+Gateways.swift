import Configuration
import GatewayProtocols
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletSystem
import MartletTelemetry
import StaticFiles

/// Requests as applications get them that are no servers of HTTP.
extension ReverseProxy {
  /// Writes the request in the member's form: its variables, and what is there of the body.
  func composeForGateway(
    _ gateway: GatewayPlan,
    _ head: borrowing Lent,
    _ connection: UpstreamConnection
  ) throws(ExchangeError) -> Lent {
    guard let started = connection.gateway, let plan = upstream.plan.gateway else {
      throw ExchangeError(.internalError)
    }
    if exchange.hand.gateway == nil { _ = try client.aim(exchange, at: gateway, head.bytes) }
    guard let target = exchange.hand.gateway else { throw ExchangeError(.fileMissing) }
    let part = exchange.hand.part.data
    let length = contentLength
    // Its room is kept from one request to the next.
    var request = GatewayRequest(gateway.form)
    swap(&request, &client.worker.gatewayRequest)
    defer { swap(&request, &client.worker.gatewayRequest) }
    request.reset(to: gateway.constants)
    try addVariables(of: head, target, length, to: &request)
    guard request.fits else { throw ExchangeError(.headTooLarge) }
    let isRecorded = gateway.form == .fastCGI
    let most =
      request.byteCount + GatewayRequest.frameByteLimit + part.count
      + 3 * FastCGIRecord.headerByteCount
    var out = loop.lend(most <= BufferSize.head.bytes ? .head : .body)
    if most > out.freeCount { throw ExchangeError(.headTooLarge) }
    request.write(
      contentLength: length,
      keepsConnection: started.keepsConnection,
      role: gateway.role,
      request: started.number
    ) { out.append($0) }
    if !part.isEmpty, isRecorded { out.append(started.record(of: part.count).bytes.span) }
    if !part.isEmpty { out.append(head.bytes.extracting(part)) }
    if isRecorded, UInt64(part.count) == length { out.append(started.record(of: 0).bytes.span) }
    let data = gateway.filters ? UInt64(target.data?.byteCount ?? 0) : nil
    if data == 0, length == 0 { out.append(started.record(of: 0, .data).bytes.span) }
    let metrics = plan.metrics
    let isShared = connection.carrier != nil
    client.worker.counters.add(
      to: isShared ? metrics.shared : exchange.isReused ? metrics.reused : metrics.opened
    )
    started.begin(
      plain: out.count,
      content: length - UInt64(part.count),
      data: data,
      isHead: exchange.request.method == .head,
      exchange.requestID(from: &client.worker.random)
    )
    return out
  }

  /// How long the request's content is.
  private var contentLength: UInt64 {
    if route.gateway?.passed != nil { return 0 }
    if exchange.isGathered {
      let data = Int(exchange.hand.gateway?.data?.byteCount ?? 0)
      return UInt64((exchange.hand.replay?.bytes.count ?? 0) - data)
    }
    if case .fixed(let length) = exchange.request.bodyLength { return length }
    return 0
  }

  private func addVariables(
    of head: borrowing Lent,
    _ target: GatewayTarget,
    _ length: UInt64,
    to request: inout GatewayRequest
  ) throws(ExchangeError) {
    let bytes = head.bytes
    let asked = exchange.request
    request.add("REQUEST_METHOD", bytes.extracting(asked.methodRange.range))
    request.add("REQUEST_URI", bytes.extracting(asked.target.range))
    if let query = target.query {
      request.add("QUERY_STRING", query)
    } else {
      request.add("QUERY_STRING", bytes.extracting(asked.query.range))
    }
    // An authorizer is asked about a request, not for a place (FastCGI 1.0, section 6.3).
    if route.gateway?.passed == nil { addPlace(target.path, length, to: &request) }
    if let line = asked.first(.contentType) {
      request.add("CONTENT_TYPE", bytes.extracting(line.valueRange.range))
    } else {
      request.add("CONTENT_TYPE", "")
    }
    addPlaces(bytes, to: &request)
    if let own = route.gateway?.variables, !own.isEmpty {
      var value = loop.lend(.head)
      for variable in own {
        value.truncate(to: 0)
        try variable.value.write(to: &value, exchange, client, bytes, answer: Span())
        request.add(variable.name, value.bytes)
      }
    }
    for grant in exchange.grants ?? [] { request.add(grant.passed.variable, grant.value) }
    try addFields(bytes, to: &request)
  }

  /// Adds what is asked for, and how long its content is.
  private func addPlace(
    _ path: ScriptPath,
    _ length: UInt64,
    to request: inout GatewayRequest
  ) {
    request.add("SCRIPT_NAME", path.script)
    request.add("PATH_INFO", path.rest)
    if let scripts = route.gateway?.scripts {
      request.add("SCRIPT_FILENAME", scripts.root.span, path.script.span)
      if !path.rest.isEmpty {
        request.add("PATH_TRANSLATED", scripts.root.span, path.rest.span)
      }
    }
    if let data = exchange.hand.gateway?.data {
      request.add("FCGI_DATA_LENGTH", number: UInt64(data.byteCount))
      let seconds = data.facts.modifiedNanoseconds / 1_000_000_000
      request.add("FCGI_DATA_LAST_MOD", number: UInt64(max(0, seconds)))
    }
    // SCGI has its length in front of everything else.
    guard request.form != .scgi else { return }
    if length > 0 || exchange.request.bodyLength != .none {
      request.add("CONTENT_LENGTH", number: length)
    } else {
      request.add("CONTENT_LENGTH", "")
    }
  }

  /// Adds who has asked, and whom.
  private func addPlaces(_ bytes: Span<UInt8>, to request: inout GatewayRequest) {
    let peer = client.clientAddress(of: exchange, bytes)
    if let known = client.clientVariables, known.plan === route.gateway, known.peer == peer,
      exchange.grants == nil
    {
      request.add(known.variables)
    } else {
      let told = variables(of: peer, as: request.form)
      request.add(told)
      if let plan = route.gateway, exchange.grants == nil {
        client.clientVariables = ClientVariables(plan: plan, peer: peer, variables: told)
      }
    }
    request.add("SERVER_PROTOCOL", protocolName)
    guard !isSaid("SERVER_NAME") else { return }
    let host = exchange.request.host
    if host.isEmpty {
      request.add("SERVER_NAME", exchange.site?.name ?? "")
    } else {
      request.add("SERVER_NAME", bytes.extracting(host.range))
    }
  }

  /// What request after request of a client has in common.
  private func variables(of peer: SocketAddress, as form: GatewayProtocol) -> GatewayRequest {
    var told = GatewayRequest(form)
    told.add("REMOTE_ADDR", peer.hostText)
    if let port = peer.port, port > 0, !isSaid("REMOTE_PORT") {
      told.add("REMOTE_PORT", number: UInt64(port))
    }
    let isEncrypted = client.scheme.utf8CodeUnitCount == 5
    if !isSaid("REQUEST_SCHEME") { told.add("REQUEST_SCHEME", isEncrypted ? "https" : "http") }
    if isEncrypted, !isSaid("HTTPS") { told.add("HTTPS", "on") }
    guard !isSaid("SERVER_PORT") else { return told }
    let listener = client.acceptor.plan.key
    let port = listener.utf8.lastIndex(of: 0x3A).map { listener[listener.index(after: $0)...] }
    told.add("SERVER_PORT", port.flatMap { UInt16($0) }.map { "\($0)" } ?? "80")
    return told
  }

  /// Whether the configuration, or an authorizer, says a variable in our place.
  private func isSaid(_ name: String) -> Bool {
    route.gateway?.variables.contains { $0.name == name } == true
      || exchange.grants?.contains { $0.passed.variable == name } == true
  }

  private var protocolName: String {
    if client.carrier != nil { return "HTTP/2.0" }
    return exchange.request.version == .http10 ? "HTTP/1.0" : "HTTP/1.1"
  }

  /// Adds the fields of the request, and those that rules add.
  private func addFields(
    _ bytes: Span<UInt8>,
    to request: inout GatewayRequest
  ) throws(ExchangeError) {
    let fields = exchange.request.fields
    for (index, line) in fields.enumerated() {
      switch line.name {
      case .contentType, .contentLength: continue
      default: break
      }
      guard !line.isHopByHop, !route.request.dropped.contains(line, in: bytes) else { continue }
      let name = bytes.extracting(line.nameRange.range)
      guard let lines = others(like: line, at: index, of: fields, bytes) else { continue }
      if lines.isEmpty {
        request.add(field: name, bytes.extracting(line.valueRange.range))
      } else {
        let all = [line.valueRange.range] + lines
        let separator = line.name == .cookie ? "; " : ", "
        request.add(field: name, in: bytes, all, separator: separator)
      }
    }
    try addHost(bytes, to: &request)
    guard route.request.adds else { return }
    var added = loop.lend(.head)
    try putAdded(by: route.request, bytes, answer: Span(), into: &added)
    addLines(added.bytes, to: &request)
  }

  /// The values of the lines behind `index` that have the same name as `line`; nil: one before it has.
  private func others(
    like line: FieldLine,
    at index: Int,
    of fields: FieldLines,
    _ bytes: Span<UInt8>
  ) -> [Range<Int>]? {
    var values: [Range<Int>] = []
    for (place, other) in fields.enumerated() where place != index && other.name == line.name {
      if line.name == .other {
        guard other.nameRange.count == line.nameRange.count,
          equalIgnoringCase(
            bytes.extracting(other.nameRange.range),
            bytes.extracting(line.nameRange.range)
          )
        else { continue }
      }
      if other.isHopByHop { continue }
      if place < index { return nil }
      values.append(other.valueRange.range)
    }
    return values
  }

  private func addHost(
    _ bytes: Span<UInt8>,
    to request: inout GatewayRequest
  ) throws(ExchangeError) {
    switch upstream.plan.host {
    case .client:
      request.add(field: "Host".utf8.span, bytes.extracting(exchange.request.authority.range))
    case .member: request.add(field: "Host".utf8.span, (exchange.member?.name ?? "").utf8.span)
    case .literal(let text): request.add(field: "Host".utf8.span, text.utf8.span)
    }
  }

  /// Adds fields that are written as lines.
  private func addLines(_ bytes: Span<UInt8>, to request: inout GatewayRequest) {
    var start = 0
    while let end = ByteSearch.firstIndex(of: 0x0D, in: bytes, from: start) {
      if let colon = ByteSearch.firstIndex(of: 0x3A, in: bytes, from: start), colon < end {
        let value = HTTPGrammar.trimmed(colon + 1..<end, in: bytes)
        request.add(field: bytes.extracting(start..<colon), bytes.extracting(value))
      }
      start = end + 2
    }
  }
}

/// What applications are told of a client, as it was written for its last request.
final class ClientVariables {
  /// For which application.
  let plan: GatewayPlan
  /// For whom.
  let peer: SocketAddress
  let variables: GatewayRequest

  init(plan: GatewayPlan, peer: SocketAddress, variables: GatewayRequest) {
    (self.plan, self.peer, self.variables) = (plan, peer, variables)
  }
}
