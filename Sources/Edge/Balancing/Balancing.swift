/// Which member of an upstream is to have the next request: pure algorithms, with no I/O.
///
/// ``Tiers`` says who may be chosen at all, when something has changed. A ``Balancer`` of each tier
/// belongs to one loop: the caller says which members cannot be chosen now (full, tried already) and
/// what each has to do, and the balancer answers with the member's number.
///
/// The one difficulty is that a choice must cost the same among 1,000 members as among few, and be
/// fair in the small nevertheless: a member of weight 5 among members of weight 1 must not get five
/// requests in a row, and the member behind one that fails must not get twice its share. Few members
/// (up to 16) are looked at one by one, and the choice is exact; for many there is a structure of its
/// own, whose error has a bound.
///
/// ```swift
/// let members = [5, 1, 1].enumerated().map { BalancedMember(number: $0, weight: $1) }
/// let tiers = Tiers(members).tiers
/// var balancer = Balancer(.roundRobin, tiers[0].candidates)
/// var tried = MemberSet()
/// let first = balancer.choose(excluding: tried, loads)   // 0
/// tried.insert(0)
/// let second = balancer.choose(excluding: tried, loads)  // 1 or 2, never 0
/// ```
