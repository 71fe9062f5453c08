/// What is said to an authority to get a certificate from it, without I/O, keys or a clock.
///
/// Its one difficulty is that the authority decides what comes next and when: it may refuse a nonce, ask
/// for patience, or change its mind half-way. ``ACMEConversation`` is the one place that knows the order of
/// things. It gives a step, and is told what came of it; every wait, every repetition and every length is
/// bounded, so that a conversation ends whatever the authority says.
///
/// ```swift
/// var conversation = ACMEConversation(demand, key: key, account: nil)
/// while true {
///   switch conversation.step {
///   case .send(let request): conversation.receive(try await client.answer(to: request))
///   case .prove(let proofs): try await show(proofs); conversation.proofsStand()
///   case .wait(let seconds): try await loop.sleep(for: .seconds(seconds)); conversation.hasWaited()
///   case .done(let chain): return chain
///   case .failed(let failure): throw failure
///   }
/// }
/// ```
///
/// ``ACMEAuthority`` is the other side: what an authority answers to clients, without I/O as well.
///
/// - Source: RFC 8555; RFC 8737 (proof by TLS); RFC 9773 (when to renew).
