/// Which members are taken out of service for what their answers were: pure decisions, with no I/O and
/// no clock.
///
/// Loops count what members answer; this module is told of rows of failures and of the counts of a
/// window, and says who is ejected and for how long. The one difficulty is to do no harm: when the
/// fault is not the members', all of them look bad, and ejecting them would end the service. So a
/// share of the members can never be ejected, and the last one that serves never is, unless the whole
/// is allowed by name.
///
/// ```swift
/// var policy = EjectionPolicy()
/// policy.failuresInARow = 5
/// var ejections = Ejections(policy, memberCount: 3)
/// let ejection = ejections.noteRow(of: 1, unavailable: [], at: now)   // member 1, for 30 s
/// ejections.takeDue(at: now + 30_000_000_000)                          // [1]
/// ```
