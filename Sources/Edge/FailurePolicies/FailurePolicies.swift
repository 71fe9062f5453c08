/// What is done about members that fail: pure policies, with no I/O and no clock.
///
/// ``RetryRules`` say which failures are tried again, ``Backoff`` how long to wait before that,
/// ``RetryBudget`` how much of it an upstream has to bear, ``Breaker`` when a member is left alone for a
/// while, and ``HedgeTerms`` with ``LatencyQuantile`` when a second member is asked before the first one
/// has answered. Time is given as nanoseconds of a clock that does not go back; chance is given as a
/// random number.
///
/// The one difficulty is that budgets and breakers are shared by all loops: their state is a few words
/// that change by compare-and-exchange, so that no loop ever waits for another. What that costs in
/// exactness stands with each of them, and tests hold it to that.
///
/// ```swift
/// let budget = RetryBudget(RetryBudget.Terms(percent: 20, leastPerSecond: 3))
/// budget.add(requests: 1, at: now)
/// let breaker = Breaker(Breaker.Terms(failurePercent: 50))
/// let admission = breaker.admit(at: now)
/// if admission.isGranted {
///   // … send the request; should it fail:
///   _ = breaker.note(.failed, of: admission, at: now, random: random)
///   if budget.take(at: now) { /* … try again */ }
/// }
/// ```
