import MartletSystem

/// Lends resources so that everybody can always be served to the end (the banker's algorithm).
///
/// Every customer declares first how much of each resource it may ever hold at once. A request is granted
/// only if, after it, the customers can be put in an order in which each gets all it has declared from what
/// is there and what those before it give back; else it waits although the resources may be there.
/// Therefore nobody waits in a circle, however the requests come.
///
/// - Source: E. W. Dijkstra, EWD 108.
public final class Banker: Sendable {
  /// Why a request cannot be granted, now or ever.
  public enum Refusal: Error, Hashable, Sendable {
    /// There is not as much as that at all.
    case beyondTotal
    /// The customer has not declared as much as that.
    case beyondClaim
    /// The limit came first.
    case timedOut
    /// The task that waited was cancelled.
    case cancelled
  }

  /// Who has declared what it may need.
  public struct Customer: Hashable, Sendable { fileprivate let number: Int }

  private struct State {
    var ledger: BankersLedger
    var lastNumber = 0
    /// Those who wait, in order, with what they ask for.
    var requests: [(waiter: Waiter, customer: Int, amounts: [Int])] = []
  }

  private let state: Locked<State>

  /// Creates a banker with so much of each resource.
  public init(_ totals: [Int]) { state = Locked(State(ledger: BankersLedger(totals))) }

  /// How much of each resource nobody holds.
  public var available: [Int] { state.withLock(\.ledger.available) }

  /// Declares how much of each resource somebody may hold at once.
  ///
  /// - Throws: ``Refusal/beyondTotal``.
  public func open(claiming claim: [Int]) throws(Refusal) -> Customer {
    try state.withLock { state throws(Refusal) in
      state.lastNumber += 1
      guard state.ledger.open(state.lastNumber, claiming: claim) else { throw .beyondTotal }
      return Customer(number: state.lastNumber)
    }
  }

  /// Gives back all that a customer holds, and forgets its claim.
  public func close(_ customer: Customer) {
    state.withLock { state in
      state.ledger.close(customer.number)
      grant(&state)
    }
  }

  /// Takes resources if that is safe now.
  ///
  /// - Throws: ``Refusal/beyondClaim``.
  public func tryRequest(_ amounts: [Int], for customer: Customer) throws(Refusal) -> Bool {
    try state.withLock { state throws(Refusal) in
      guard state.ledger.isWithinClaim(amounts, of: customer.number) else { throw .beyondClaim }
      return state.ledger.grant(amounts, to: customer.number)
    }
  }

  /// Takes resources, and blocks the calling thread until that is safe, at most for `limit`.
  ///
  /// - Throws: ``Refusal``.
  @_disfavoredOverload
  @available(*, noasync, message: "this blocks the thread: await the other form")
  public func request(
    _ amounts: [Int],
    for customer: Customer,
    within limit: Duration? = nil
  ) throws(Refusal) {
    let moment = limit.map { $0.ends(from: SystemClock.monotonicNanoseconds()) }
    guard let waiter = try queue(amounts, customer) else { return }
    try leave(waiter, waiter.block(until: moment))
  }

  /// Takes resources, and suspends the calling coroutine until that is safe, at most for `limit`.
  ///
  /// - Throws: ``Refusal``.
  public func request(
    _ amounts: [Int],
    for customer: Customer,
    within limit: Duration? = nil
  ) async throws(Refusal) {
    guard let waiter = try queue(amounts, customer) else { return }
    try leave(waiter, await waiter.suspend(within: limit))
  }

  /// Gives resources back.
  public func giveBack(_ amounts: [Int], of customer: Customer) {
    state.withLock { state in
      state.ledger.take(amounts, from: customer.number)
      grant(&state)
    }
  }

  private func queue(_ amounts: [Int], _ customer: Customer) throws(Refusal) -> Waiter? {
    try state.withLock { state throws(Refusal) in
      guard state.ledger.isWithinClaim(amounts, of: customer.number) else { throw .beyondClaim }
      if state.ledger.grant(amounts, to: customer.number) { return nil }
      let waiter = Waiter()
      state.requests.append((waiter, customer.number, amounts))
      return waiter
    }
  }

  private func leave(_ waiter: Waiter, _ outcome: Waiter.Outcome) throws(Refusal) {
    guard outcome != .woken else { return }
    state.withLock { $0.requests.removeAll { $0.waiter === waiter } }
    throw outcome == .timedOut ? .timedOut : .cancelled
  }

  /// Grants what has become safe, those who came first before others.
  private func grant(_ state: inout State) {
    state.requests.removeAll { request in
      let before = state.ledger
      guard state.ledger.grant(request.amounts, to: request.customer) else { return false }
      if !request.waiter.settle(.woken) { state.ledger = before }
      return true
    }
  }
}

/// The books of a ``Banker``: a value that decides, and waits for nothing.
public struct BankersLedger: Hashable, Sendable {
  private struct Account: Hashable, Sendable {
    var claim: [Int]
    var held: [Int]
  }

  /// How much of each resource there is.
  public let totals: [Int]
  /// How much of each resource nobody holds.
  public private(set) var available: [Int]
  private var accounts: [Int: Account] = [:]

  /// Creates the books of so much of each resource.
  public init(_ totals: [Int]) {
    precondition(totals.allSatisfy { $0 >= 0 }, "of a resource there is nothing or more")
    self.totals = totals
    available = totals
  }

  /// Opens an account with what it may hold at once.
  ///
  /// - Returns: false when there is not as much at all.
  public mutating func open(_ customer: Int, claiming claim: [Int]) -> Bool {
    precondition(claim.count == totals.count, "a claim names every resource")
    precondition(accounts[customer] == nil, "a customer has one account")
    guard zip(claim, totals).allSatisfy({ 0...$1 ~= $0 }) else { return false }
    accounts[customer] = Account(claim: claim, held: claim.map { _ in 0 })
    return true
  }

  /// Closes an account; what it holds is given back.
  public mutating func close(_ customer: Int) {
    guard let account = accounts.removeValue(forKey: customer) else { return }
    for index in totals.indices { available[index] += account.held[index] }
  }

  /// Whether a customer may hold that much more.
  public func isWithinClaim(_ amounts: [Int], of customer: Int) -> Bool {
    guard let account = accounts[customer], amounts.count == totals.count else { return false }
    return totals.indices.allSatisfy { index in
      0...(account.claim[index] - account.held[index]) ~= amounts[index]
    }
  }

  /// Grants a request within the claim if all can still be served after it.
  public mutating func grant(_ amounts: [Int], to customer: Int) -> Bool {
    guard isWithinClaim(amounts, of: customer),
      zip(amounts, available).allSatisfy({ $0 <= $1 })
    else { return false }
    var after = self
    after.move(amounts, to: customer)
    guard after.isSafe else { return false }
    self = after
    return true
  }

  /// Takes back what a customer gives.
  public mutating func take(_ amounts: [Int], from customer: Int) {
    precondition(
      zip(amounts, accounts[customer]?.held ?? []).allSatisfy { 0...$1 ~= $0 },
      "a customer gives back more than it holds"
    )
    move(amounts.map { -$0 }, to: customer)
  }

  /// Whether the customers can be put in an order in which each gets all it has declared.
  ///
  /// - Complexity: O(*n*²) in the customers.
  public var isSafe: Bool {
    var free = available
    var rest = Array(accounts.values)
    while !rest.isEmpty {
      let served = rest.firstIndex { account in
        totals.indices.allSatisfy { account.claim[$0] - account.held[$0] <= free[$0] }
      }
      guard let served else { return false }
      let account = rest.remove(at: served)
      for index in totals.indices { free[index] += account.held[index] }
    }
    return true
  }

  private mutating func move(_ amounts: [Int], to customer: Int) {
    for index in totals.indices {
      available[index] -= amounts[index]
      accounts[customer]?.held[index] += amounts[index]
    }
  }
}
