import HTTPMessage
import MartletBytes
import MartletSystem
import MartletTelemetry
import TLS

/// Digests that a client has sent with a body, to be compared with those of what has come.
///
/// - Source: RFC 9530, sections 2 and 3.
final class BodyDigests {
  /// A field with digests.
  enum Field: String {
    /// Those of the content of one message.
    case content = "content-digest"
    /// Those of the whole that it is a part of.
    case representation = "repr-digest"
  }

  private var expected: [(digest: RunningDigest, bytes: [UInt8])] = []

  /// Reads what a request says in these fields; nil: nothing that is known here.
  ///
  /// - Throws: ``ExchangeError`` without memory.
  init?(
    of request: RequestHead,
    in head: Span<UInt8>,
    _ fields: Field...
  ) throws(ExchangeError) {
    for field in fields {
      let text = Self.text(of: field, in: request, head)
      try add(expectations: text)
    }
    if expected.isEmpty { return nil }
  }

  /// Reads what ``text(of:in:_:)`` has given; nil: nothing that is known here.
  ///
  /// - Throws: ``ExchangeError`` without memory.
  init?(text: String) throws(ExchangeError) {
    try add(expectations: text)
    if expected.isEmpty { return nil }
  }

  /// The digests of a field that are known here, in one line; empty: none.
  static func text(of field: Field, in request: RequestHead, _ head: Span<UInt8>) -> String {
    let name = Array(field.rawValue.utf8)
    var members: [String] = []
    for line in request.fields
    where equalIgnoringCase(head.extracting(line.nameRange.range), name.span) {
      var walk = DictionaryWalk(line.valueRange.range)
      var found: [String] = []
      while let (key, value) = walk.next(in: head) {
        let algorithm = String(decoding: head.extracting(key))
        guard RunningDigest.Algorithm(rawValue: algorithm) != nil, case .bytes(let range) = value
        else { continue }
        found.append("\(algorithm)=:\(String(decoding: head.extracting(range))):")
      }
      // What breaks the grammar says nothing (RFC 9651, section 4.2).
      if walk.isBroken { return "" }
      members += found
    }
    return members.joined(separator: ", ")
  }

  private func add(expectations text: String) throws(ExchangeError) {
    let bytes = Array(text.utf8)
    var walk = DictionaryWalk(0..<bytes.count)
    while let (key, value) = walk.next(in: bytes.span) {
      guard
        let algorithm = RunningDigest.Algorithm(
          rawValue: String(decoding: bytes.span.extracting(key))
        ), case .bytes(let range) = value
      else { continue }
      do throws(TLSError) {
        let digest = try RunningDigest(algorithm)
        expected.append((digest, Base64.decoded(bytes.span.extracting(range)) ?? []))
      } catch {
        throw ExchangeError(.overloaded, detail: "digest")
      }
    }
  }

  /// Whether a file has the digests that ``text(of:in:_:)`` has given; for a thread, for it reads all of the file.
  ///
  /// - Throws: ``MartletSystem/SystemError`` when it cannot be read.
  static func areOf(_ file: OpenFile, _ text: String) throws(SystemError) -> Bool {
    let digests: BodyDigests?
    do throws(ExchangeError) { digests = try BodyDigests(text: text) } catch { return false }
    guard let digests else { return true }
    var offset = 0
    while true {
      let bytes = try file.descriptor.read(upTo: 1 << 18, at: offset)
      if bytes.isEmpty { return digests.finish() }
      digests.add(bytes.span)
      offset += bytes.count
    }
  }

  /// Takes further bytes of the body.
  func add(_ bytes: Span<UInt8>) {
    for (digest, _) in expected { digest.add(bytes) }
  }

  /// Whether all that was taken has the digests that were sent; nothing may be taken behind it.
  func finish() -> Bool {
    var isSame = true
    for (digest, bytes) in expected where digest.finish() != bytes { isSame = false }
    expected = []
    return isSame
  }
}
