// What RFC 9111 says about storing answers and using them again, as decisions: which response may be
// stored, whether a stored one may be sent, how it is validated, what an unsafe request makes invalid.
//
// No byte is stored here and no clock is read: a store keeps a `StoredTerms` beside each response and
// asks it with the time of day, so that every rule can be tested with a table.
//
//     let request = CacheRequest(head, in: bytes, by: policy)
//     switch terms.reuse(for: request, at: now) {
//     case .fresh: …
//     case .validate(let reason): …
//     }
//
// Its one difficulty is that most rules have exceptions of other documents (targeted fields, 5861,
// Authorization, must-understand), which count in one order alone: what a response says is read once
// into `ResponseDirectives`, a lifetime is computed once in `CachePolicy.lifetime`, and nothing reads
// a field a second time.
//
// Source: RFC 9111; RFC 5861, RFC 8246, RFC 9211 and RFC 9213.
