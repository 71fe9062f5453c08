import COpenSSL

// Invariant of this file: arrays are passed with their counts, and OpenSSL copies what it keeps; what a visitor is
// given lives for the call.

/// Answers who asks what became of certificates of an authority.
///
/// - Source: RFC 6960; RFC 9654 for nonces.
public struct TLSResponder: Sendable {
  /// What became of a certificate.
  public enum Standing: Hashable, Sendable {
    /// It was given, and not revoked.
    case good
    /// It was revoked: when, in seconds since 1970, and why, as RFC 5280 numbers the reasons.
    case revoked(at: Int64, reason: Int)
    /// The authority has not given it.
    case unknown
  }

  /// What is answered.
  public struct Answer: Hashable, Sendable {
    /// It, in DER form.
    public var bytes: [UInt8]
    /// Whether it is for this question alone, which has a nonce.
    public var isSingular: Bool
    /// Whether the question was in form, so that it says something.
    public var isAnswered: Bool

    /// Creates an answer.
    public init(bytes: [UInt8], isSingular: Bool, isAnswered: Bool) {
      self.bytes = bytes
      self.isSingular = isSingular
      self.isAnswered = isAnswered
    }
  }

  /// The longest question that is read, and the most certificates that it may be about.
  public static let questionBytes = 4096
  /// The most certificates that a question may be about.
  public static let certificateCount = Int(martlet_status_count)
  /// The longest nonce; an empty one is refused as well.
  public static let nonceBytes = Int(martlet_nonce_bytes)
  /// The longest answer: the question's words, what is said of each, a nonce, a signature and a certificate.
  private static let answerBytes = 32 << 10

  private let authority: TLSCertificates
  private let signer: TLSIdentity

  /// Creates the responder of an authority; `signer` is its own certificate, or one that it has given for this.
  public init(of authority: TLSCertificates, signer: TLSIdentity) {
    self.authority = authority
    self.signer = signer
  }

  private final class Visitor {
    let standing: ([UInt8]) -> Standing
    init(_ standing: @escaping ([UInt8]) -> Standing) { self.standing = standing }
  }

  /// Answers a question.
  ///
  /// - Parameters:
  ///   - question: It, in DER form.
  ///   - validity: From when on and until when the answer counts, in seconds since 1970.
  ///   - standing: Tells what became of the certificate of the authority with a number, which has no zeros in
  ///     front.
  /// - Returns: The answer; to what is not in form or too long, that it is not.
  /// - Throws: ``TLSError`` without memory.
  public func answer(
    _ question: [UInt8],
    validity: ClosedRange<Int64>,
    _ standing: @escaping ([UInt8]) -> Standing
  ) throws(TLSError) -> Answer {
    guard question.count <= Self.questionBytes else { return try Self.refusal(isForNow: false) }
    let visitor = Visitor(standing)
    var hasNonce: Int32 = 0
    var isAnswered: Int32 = 0
    let bytes = withExtendedLifetime(visitor) {
      unsafe written(atMost: Self.answerBytes) { out, count in
        var plan = unsafe martlet_status_plan(
          from: validity.lowerBound,
          until: validity.upperBound,
          visit: Self.visit,
          context: Unmanaged.passUnretained(visitor).toOpaque()
        )
        return unsafe martlet_status_answer(
          question,
          question.count,
          authority.pointer,
          signer.certificates.pointer,
          signer.key,
          &plan,
          &hasNonce,
          &isAnswered,
          out,
          count
        )
      }
    }
    guard let bytes else { throw .noted("a question about certificates cannot be answered") }
    return Answer(bytes: bytes, isSingular: hasNonce == 1, isAnswered: isAnswered == 1)
  }

  /// Says that a question is not in form, or that there is no answer for now.
  ///
  /// - Throws: ``TLSError`` without memory.
  public static func refusal(isForNow: Bool) throws(TLSError) -> Answer {
    let bytes = unsafe written(atMost: 64) { out, count in
      unsafe martlet_status_refusal(isForNow ? 1 : 0, out, count)
    }
    guard let bytes else { throw .noted("no answer") }
    return Answer(bytes: bytes, isSingular: false, isAnswered: false)
  }

  private static let visit: martlet_standing_visitor = { context, serial, count, standing in
    guard let context = unsafe context, let standing = unsafe standing else { return }
    let visitor = unsafe Unmanaged<Visitor>.fromOpaque(context).takeUnretainedValue()
    switch visitor.standing(unsafe Array(UnsafeBufferPointer(start: serial, count: count))) {
    case .good: unsafe standing.pointee.verdict = Int32(martlet_staple_good)
    case .unknown: unsafe standing.pointee.verdict = Int32(martlet_staple_unknown)
    case .revoked(let time, let reason):
      unsafe standing.pointee.verdict = Int32(martlet_staple_revoked)
      unsafe standing.pointee.time = time
      unsafe standing.pointee.reason = Int32(clamping: reason)
    }
  }
}
