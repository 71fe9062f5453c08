import JSON

/// That a client wants a certificate to be revoked.
///
/// Its signature was looked at; whether it may is still to be seen.
///
/// - Source: RFC 8555, section 7.6.
public struct ACMERevocation: Hashable, Sendable {
  /// The reasons that a client may give: nobody says, the key is known to others, the owner has another name,
  /// there is another certificate, it is needed no longer.
  ///
  /// - Source: RFC 5280, section 5.3.1.
  public static let reasons: Set<Int> = [0, 1, 3, 4, 5]

  /// The certificate in DER form, as the client sends it.
  public var certificate: [UInt8]
  /// Why.
  public var reason: Int
  /// Who has signed: the key of the certificate, or that of an account.
  public var key: ACMEClientKey
  /// Whether it is that of an account.
  public var isByAccount: Bool
  /// The names that the account has shown to be its own within an hour.
  public var provenNames: Set<String>
}

extension ACMEAuthority {
  /// What is to be done before a client is answered that it was done.
  func revocation(_ request: ACMESignedRequest) throws(ACMEProblem) -> ACMEReply {
    let json = ACMESignedRequest.object(request.payload)
    guard let text = json?["certificate"]?.text, let certificate = ACMEKey.bytes(text),
      !certificate.isEmpty
    else { throw ACMEProblem(400, "malformed", "there is no certificate") }
    let reason = json?["reason"].map { $0.number ?? -1 } ?? 0
    guard ACMERevocation.reasons.contains(reason) else {
      let known = ACMERevocation.reasons.sorted().map { "\($0)" }.joined(separator: ", ")
      throw ACMEProblem(400, "badRevocationReason", "the reason is one of \(known)")
    }
    let own = request.isByAccount ? orders.values.filter { $0.owner == request.key } : []
    let proven = own.flatMap(\.authorizations).filter { $0.state == "valid" }
    var reply = ACMEReply(200)
    reply.revocation = ACMERevocation(
      certificate: certificate,
      reason: reason,
      key: request.key,
      isByAccount: request.isByAccount,
      provenNames: Set(proven.map { ($0.isWildcard ? "*." : "") + $0.name })
    )
    return reply
  }
}
