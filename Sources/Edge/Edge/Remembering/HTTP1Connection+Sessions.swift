import HTTPMessage
import MartletBytes
import MartletHandlers
import MartletLoop
import MartletTelemetry
import Sessions

/// Fields about sessions, between Martlet and what is behind it.
enum SessionField: String, CaseIterable {
  /// By what an application knows a session.
  case name = "Martlet-Session"
  /// Who the client is.
  case user = "Martlet-Session-User"
  /// What is remembered, as a form is written.
  case values = "Martlet-Session-Values"
  /// That the session ends, in answers alone.
  case end = "Martlet-Session-End"

  /// The bytes of its name.
  var bytes: [UInt8] {
    switch self {
    case .name: Self.nameBytes
    case .user: Self.userBytes
    case .values: Self.valuesBytes
    case .end: Self.endBytes
    }
  }

  private static let nameBytes = Array(name.rawValue.utf8)
  private static let userBytes = Array(user.rawValue.utf8)
  private static let valuesBytes = Array(values.rawValue.utf8)
  private static let endBytes = Array(end.rawValue.utf8)
}

/// The sessions of clients.
extension HTTP1Connection {
  private func keeper(
    of exchange: Exchange
  ) throws(ExchangeError) -> (plan: SessionPlan, keeper: SessionKeeper) {
    guard let plan = exchange.route?.sessions, let found = worker.sessions(of: plan) else {
      throw ExchangeError(.sessionFailed, detail: "there are no such sessions any more")
    }
    return found
  }

  /// Finds the client's session, if that needs no waiting.
  ///
  /// - Returns: Whether it was found, or there is none.
  func openSessionNow(_ exchange: Exchange, _ head: Span<UInt8>) throws(ExchangeError) -> Bool {
    let (plan, keeper) = try keeper(of: exchange)
    guard let range = Affinity.cookie(plan.cookieName, exchange, head) else {
      note(keeper.openNow(nil, at: worker.clock.seconds), exchange, plan)
      return true
    }
    guard keeper.isImmediate else { return false }
    note(
      keeper.openNow(head.extracting(range), at: worker.clock.seconds),
      exchange,
      plan
    )
    return true
  }

  /// Finds the client's session.
  ///
  /// - Throws: ``EndReason/sessionFailed`` when its store does not answer.
  func openSession(_ exchange: Exchange, _ head: Span<UInt8>) async throws(ExchangeError) {
    let (plan, keeper) = try keeper(of: exchange)
    let value = Affinity.cookie(plan.cookieName, exchange, head).map {
      Array(copying: head.extracting($0))
    }
    do throws(SessionFault) {
      note(try await keeper.open(value, at: worker.clock.seconds), exchange, plan)
    } catch {
      worker.counters.add(to: plan.metrics.failed)
      throw ExchangeError(error)
    }
  }

  private func note(_ session: Session, _ exchange: Exchange, _ plan: SessionPlan) {
    exchange.session = session
    worker.counters.add(to: session.isNew ? plan.metrics.unknown : plan.metrics.known)
  }

  /// Keeps what was changed of the session, and what the client is told of it.
  ///
  /// - Throws: ``EndReason/sessionFailed`` when that is not possible.
  func commitSession(_ exchange: Exchange) async throws(ExchangeError) {
    guard let session = exchange.session else { return }
    let (plan, keeper) = try keeper(of: exchange)
    let outcome = session.outcome
    do throws(SessionFault) {
      let isEncrypted = scheme.description == "https"
      let line = try await keeper.commit(
        session,
        overTLS: isEncrypted,
        at: worker.clock.seconds
      )
      exchange.sessionLine = line ?? []
    } catch {
      worker.counters.add(to: plan.metrics.failed)
      throw ExchangeError(error)
    }
    switch outcome {
    case .stays: break
    case .begins: worker.counters.add(to: plan.metrics.begun)
    case .changes: worker.counters.add(to: plan.metrics.changed)
    case .ends: worker.counters.add(to: plan.metrics.ended)
    }
  }

  /// Does what an answer of an application says about the session.
  func settleSession(_ exchange: Exchange, _ answer: Span<UInt8>) async throws(ExchangeError) {
    guard let session = exchange.session else { return }
    if let values = field(.values, exchange, answer) {
      for pair in values.split(separator: "&") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? FormText.decoded(parts[1]) : ""
        // What is empty is not remembered.
        session[FormText.decoded(parts[0])] = value.isEmpty ? nil : value
      }
    }
    if let user = field(.user, exchange, answer) {
      if user.isEmpty { session.end() } else { session.signIn(as: FormText.decoded(user)) }
    }
    if field(.end, exchange, answer) != nil { session.end() }
    try await commitSession(exchange)
  }

  private func field(
    _ field: SessionField,
    _ exchange: Exchange,
    _ answer: Span<UInt8>
  ) -> String? {
    let name = field.bytes
    guard let line = exchange.response.field(named: name.span, in: answer) else { return nil }
    let value = answer.extracting(line.valueRange.range)
    return String(decoding: Array(copying: value), as: UTF8.self)
  }
}

extension Route.FieldRules {
  /// Writes what a message says of the session: to an application whose it is, and to a client its cookie.
  func putSession(
    _ side: Route.SessionSide,
    _ exchange: Exchange,
    into out: inout Lent
  ) throws(ExchangeError) {
    switch side {
    case .answer: try out.put(exchange.sessionLine)
    case .request:
      guard let session = exchange.session else { return }
      try put(.name, session.name, into: &out)
      if !session.user.isEmpty { try put(.user, FormText.encoded(session.user), into: &out) }
      let values = session.values.sorted { $0.key < $1.key }
        .map { "\(FormText.encoded($0.key))=\(FormText.encoded($0.value))" }
      if !values.isEmpty { try put(.values, values.joined(separator: "&"), into: &out) }
    }
  }

  private func put(
    _ field: SessionField,
    _ value: String,
    into out: inout Lent
  ) throws(ExchangeError) {
    try out.put(field.bytes)
    try out.put(": ")
    try out.put(value)
    try out.put("\r\n")
  }
}

extension ExchangeError {
  init(_ fault: SessionFault) {
    switch fault {
    case .store(let reason): self.init(.sessionFailed, detail: reason)
    case .tooLarge:
      self.init(.sessionFailed, status: 500, detail: "a session would remember too much")
    }
  }
}
