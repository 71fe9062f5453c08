/// Which member of an upstream is to have the next request: pure algorithms, with no I/O.
///
/// A ``Balancer`` belongs to one loop. The caller says which members cannot be chosen now (full, down,
/// tried already) and how many requests each one has; the balancer answers with an index.
///
/// The one difficulty is fairness in the small: a member of weight 5 among members of weight 1 must
/// not get five requests in a row, and the member behind one that fails must not get twice its
/// share. Every algorithm therefore breaks its ties by the same smooth weighted turn.
///
/// ```swift
/// let members = [5, 1, 1].map { BalancedMember(weight: $0) }
/// var balancer = Balancer.roundRobin(RoundRobin(members))
/// var tried = MemberSet()
/// let active: [UInt32] = [0, 0, 0]
/// let first = balancer.choose(excluding: tried, active: active.span)   // 0
/// tried.insert(0)
/// let second = balancer.choose(excluding: tried, active: active.span)  // 1 or 2, never 0
/// ```
