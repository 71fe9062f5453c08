import Balancing
import HTTPMessage
import KeyedTables
import MartletLoop
import MartletSystem
import MartletTelemetry
import Stickiness

/// What is known of the client of an exchange.
struct Acquaintance {
  /// How far the client is known.
  enum Standing {
    /// Nobody has asked.
    case unasked
    /// It belongs to no member yet.
    case new
    /// It belongs to a member.
    case known
  }

  var standing = Standing.unasked
  /// The number of its member in the upstream, or −1: the member is gone.
  var member = -1
  /// The word by which it is remembered; 0: it is known by a sealed cookie, or by nothing.
  var key: UInt64 = 0
  /// Whether the client, or the table, is to be told of the member that answers.
  var isToBeTold = false
  /// Whether the client's member is full, so that another one answers this once.
  var isOverflowing = false

  /// Takes into account which member the request goes to.
  mutating func note(_ number: Int) {
    guard standing != .unasked, !isOverflowing, number != member else { return }
    member = number
    isToBeTold = true
  }
}

/// Keeps the clients of an upstream with their members, on one loop.
final class Affinity {
  private let plan: AffinityPlan
  private let seal: MemberSeal?
  /// The numbers of the members that there are, by identity: all of it, or the half of tables.
  private var numbers: [UInt64: Int] = [:]
  private var lowNumbers: [UInt32: Int] = [:]
  private var identities: [MemberIdentity?] = []

  init(_ plan: AffinityPlan) {
    self.plan = plan
    if case .cookie(let cookie) = plan.recognition {
      seal = MemberSeal(
        keys: cookie.keys,
        upstream: plan.upstream,
        cookie: String(decoding: cookie.name, as: UTF8.self),
        lifetime: cookie.lifetime
      )
    } else {
      seal = nil
    }
  }

  /// Takes over which members there are.
  func update(_ pools: [MemberPool]) {
    numbers = [:]
    lowNumbers = [:]
    identities = Array(repeating: nil, count: (pools.lazy.map(\.index).max() ?? -1) + 1)
    for pool in pools {
      let identity = MemberIdentity(pool.member.name)
      numbers[identity.number] = pool.index
      lowNumbers[identity.low] = pool.index
      identities[pool.index] = identity
    }
  }

  // MARK: The request

  /// Finds out which member the client belongs to.
  func recognise(_ exchange: Exchange, _ head: Span<UInt8>, of connection: HTTP1Connection) {
    exchange.acquaintance = Acquaintance()
    exchange.acquaintance.standing = .new
    switch plan.recognition {
    case .cookie(let cookie):
      guard let range = Self.cookie(cookie.name, exchange, head),
        let content = seal?.content(
          of: head.extracting(range),
          at: connection.worker.clock.seconds
        )
      else { return }
      exchange.acquaintance.standing = .known
      exchange.acquaintance.member = numbers[content.member.number] ?? -1
      exchange.acquaintance.isToBeTold = content.isOld
    case .learned(let name, let table):
      guard let range = Self.cookie(name, exchange, head), !range.isEmpty else { return }
      look(for: RequestKey.hash.key(of: head.extracting(range)), in: table, exchange, connection)
    case .key(let key, let table):
      guard let word = key.knownWord(of: exchange, head, of: connection) else { return }
      look(for: word, in: table, exchange, connection)
    }
  }

  private func look(
    for key: UInt64,
    in table: StickyTable,
    _ exchange: Exchange,
    _ connection: HTTP1Connection
  ) {
    exchange.acquaintance.key = key
    guard let low = table.member(of: key, at: Self.second(connection)) else { return }
    exchange.acquaintance.standing = .known
    exchange.acquaintance.member = lowNumbers[low] ?? -1
  }

  /// Which clock tables go by: seconds of the loop's.
  private static func second(_ connection: HTTP1Connection) -> UInt32 {
    second(connection.worker)
  }

  /// Where the value of a cookie is.
  static func cookie(
    _ name: [UInt8],
    _ exchange: Exchange,
    _ head: Span<UInt8>
  ) -> Range<Int>? {
    for line in exchange.request.fields where line.name == .cookie {
      let range = line.valueRange.range
      if let value = CookiePairs.value(of: name.span, in: range, of: head) { return value }
    }
    return nil
  }

  /// The member that is to have a request, counted in there: the client's own, or another one.
  ///
  /// - Returns: nil when there is none with a place left.
  /// - Throws: ``ExchangeError`` when the client's cannot be used and no other may be.
  func take(
    from upstream: Upstream,
    excluding tried: MemberSet,
    for exchange: Exchange,
    _ counters: CounterTable
  ) throws(ExchangeError) -> MemberPool? {
    let isKnown = exchange.acquaintance.standing == .known
    let number = exchange.acquaintance.member
    exchange.acquaintance.isOverflowing = false
    if isKnown, !tried.contains(number) {
      switch upstream.take(number, whileDraining: plan.keepsDraining) {
      case .taken(let pool):
        counters.add(to: plan.metrics.kept)
        return pool
      case .isFull:
        // It waits for its own member.
        if !plan.choosesAnother { return nil }
        exchange.acquaintance.isOverflowing = true
      case .isOut: break
      }
    }
    let isFull = exchange.acquaintance.isOverflowing
    if isKnown, !isFull, !plan.choosesAnother {
      counters.add(to: plan.metrics.refused)
      throw exchange.error
        ?? ExchangeError(.noMember, detail: "\(plan.upstream): the client's member is not there")
    }
    guard let pool = upstream.take(excluding: tried, hash: exchange.hand.keyHash) else {
      return nil
    }
    let metrics = plan.metrics
    counters.add(to: isFull ? metrics.overflowed : isKnown ? metrics.moved : metrics.new)
    return pool
  }

  /// The only member that may have the request, or nil when several may.
  func onlyMember(for exchange: Exchange) -> Int? {
    !plan.choosesAnother && exchange.acquaintance.standing == .known
      ? exchange.acquaintance.member : nil
  }

  // MARK: Layer 4

  /// What came of a connection, or a flow of datagrams, whose client may belong to a member.
  enum Admission {
    /// It is counted in there; `isNews`: the client is to be remembered.
    case taken(MemberPool, isNews: Bool)
    /// No member has a place left.
    case none
    /// The client's cannot be used, and no other may be.
    case refused
  }

  /// The member that is to have a connection of a client, counted in there.
  func take(
    from upstream: Upstream,
    excluding tried: MemberSet,
    for client: SocketAddress,
    _ worker: Worker
  ) -> Admission {
    let hash = upstream.plan.keyHash(of: client)
    guard case .key(let key, let table) = plan.recognition else {
      return upstream.take(excluding: tried, hash: hash).map { .taken($0, isNews: false) } ?? .none
    }
    let low = table.member(of: key.word(of: client), at: Self.second(worker))
    let number = low.flatMap { lowNumbers[$0] } ?? -1
    var isFull = false
    if low != nil, !tried.contains(number) {
      switch upstream.take(number, whileDraining: plan.keepsDraining) {
      case .taken(let pool):
        worker.counters.add(to: plan.metrics.kept)
        return .taken(pool, isNews: false)
      case .isFull: isFull = true
      case .isOut: break
      }
    }
    if low != nil, !plan.choosesAnother {
      worker.counters.add(to: plan.metrics.refused)
      return isFull ? .none : .refused
    }
    guard let pool = upstream.take(excluding: tried, hash: hash) else { return .none }
    let metrics = plan.metrics
    worker.counters.add(
      to: isFull ? metrics.overflowed : low != nil ? metrics.moved : metrics.new
    )
    return .taken(pool, isNews: !isFull)
  }

  /// Remembers to which member a client of layer 4 belongs.
  func remember(_ pool: MemberPool, for client: SocketAddress, _ worker: Worker) {
    guard case .key(let key, let table) = plan.recognition,
      identities.indices.contains(pool.index), let identity = identities[pool.index]
    else { return }
    table.remember(identity, for: key.word(of: client), at: Self.second(worker))
  }

  private static func second(_ worker: Worker) -> UInt32 {
    UInt32(truncatingIfNeeded: worker.loop.now / 1_000_000_000)
  }

  // MARK: The answer

  /// Remembers which member has answered, and gives the client its cookie, as far as either is new.
  ///
  /// `answer` begins with the answer's head; the cookie's field goes to `out`.
  func tell(
    _ exchange: Exchange,
    _ answer: Span<UInt8>,
    _ connection: HTTP1Connection,
    into out: inout Lent
  ) throws(ExchangeError) {
    let number = exchange.acquaintance.member
    guard identities.indices.contains(number), let identity = identities[number] else { return }
    let isToBeTold = exchange.acquaintance.isToBeTold
    let key = exchange.acquaintance.key
    switch plan.recognition {
    case .cookie(let cookie):
      if isToBeTold { try put(cookie, identity, connection, into: &out) }
    case .key(_, let table):
      if isToBeTold, key != 0 {
        table.remember(identity, for: key, at: Self.second(connection))
      }
    case .learned(let name, let table):
      if isToBeTold, key != 0 {
        table.remember(identity, for: key, at: Self.second(connection))
      }
      if exchange.acquaintance.isOverflowing { return }
      for line in exchange.response.fields where line.name == .setCookie {
        // The first pair is the cookie; what follows are its attributes.
        var pairs = CookiePairs(line.valueRange.range)
        guard let pair = pairs.next(in: answer), !pair.value.isEmpty,
          answer.extracting(pair.name).isEqual(to: name.span)
        else { continue }
        let key = RequestKey.hash.key(of: answer.extracting(pair.value))
        table.remember(identity, for: key, at: Self.second(connection))
      }
    }
  }

  /// Writes the field that gives the client its cookie.
  private func put(
    _ cookie: AffinityPlan.SealedCookie,
    _ identity: MemberIdentity,
    _ connection: HTTP1Connection,
    into out: inout Lent
  ) throws(ExchangeError) {
    guard let value = seal?.value(for: identity, at: connection.worker.clock.seconds) else {
      return
    }
    try out.put("Set-Cookie: ")
    try out.put(cookie.name)
    try out.put("=")
    try out.put(value)
    try out.put(cookie.attributes)
  }
}

extension Span<UInt8> {
  /// Whether both have the same bytes.
  fileprivate func isEqual(to other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    for index in indices where self[index] != other[index] { return false }
    return true
  }
}
