import Compression
import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry

/// An answer that is noted while it is sent, for later ones to be coded against.
final class DictionaryLesson {
  let remembered: RememberedDictionaries
  /// Which answer it is.
  let source: [UInt8]
  /// Where it is from.
  let origin: [UInt8]
  /// Its bytes; nil: they became too many.
  private(set) var bytes: [UInt8]? = []

  init(_ remembered: RememberedDictionaries, source: [UInt8], origin: [UInt8]) {
    self.remembered = remembered
    self.source = source
    self.origin = origin
  }

  /// What has not become of it is not waited for.
  deinit { if !isOver { remembered.giveUp(source) } }
  private var isOver = false

  /// Notes a part of it.
  func take(_ part: Span<UInt8>) {
    guard let count = bytes?.count else { return }
    if count + part.count > remembered.settings.bodyBytes {
      bytes = nil
    } else {
      bytes?.append(copying: part)
    }
  }

  /// All of it; from here on whoever takes it says what has become of it.
  func finish() -> [UInt8]? {
    guard let bytes, !bytes.isEmpty else { return nil }
    isOver = true
    return bytes
  }
}

/// Answers that are coded against what the client has already.
///
/// - Source: RFC 9842.
extension HTTP1Connection {
  /// The dictionary that a request names, if its answer may be coded against it.
  func knownDictionary(
    _ plan: CompressionPlan,
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    _ answer: Span<UInt8>
  ) -> CompressionDictionary? {
    guard let dictionaries = plan.dictionaries,
      let digest = DictionaryDigest(of: exchange.request, in: head)
    else { return nil }
    let outcome: DictionaryOutcome
    if !isSecure(exchange, head) {
      outcome = .insecure
    } else if let found = dictionaries.find(digest, of: origin(exchange, head)) {
      let isAllowed = CompressionRules.allowsDictionary(
        worker.composedHead,
        in: answer,
        to: exchange.request,
        in: head
      )
      if isAllowed { return found }
      outcome = .crossSite
    } else {
      outcome = .unknown
    }
    worker.counters.add(to: plan.metrics[outcome])
    return nil
  }

  /// Whether browsers take the connection for one that nobody reads on its way: TLS, or a client on this host.
  ///
  /// - Source: RFC 9842, section 8.
  private func isSecure(_ exchange: Exchange, _ head: Span<UInt8>) -> Bool {
    if tls != nil || preface?.isEncrypted == true { return true }
    let authority: Authority
    do throws(MessageError) {
      authority = try Authority(head, in: exchange.request.authority.range)
    } catch {
      return false
    }
    let host = String(decoding: head.extracting(authority.host.range)).lowercased()
    return host == "localhost" || host.hasSuffix(".localhost") || host.hasPrefix("127.")
      || host == "[::1]"
  }

  /// Scheme and host of a request.
  private func origin(_ exchange: Exchange, _ head: Span<UInt8>) -> [UInt8] {
    let authority = head.extracting(exchange.request.authority.range)
    var origin = Array("\(scheme)://".utf8)
    for index in authority.indices { origin.append(lowercased(authority[index])) }
    return origin
  }

  /// What is noted of an answer that the client is told to keep as a dictionary; nil: nothing.
  ///
  /// Answers for one user alone are not noted: nobody else is to be answered with what stands in them.
  func lesson(
    _ plan: CompressionPlan,
    _ exchange: Exchange,
    _ head: Span<UInt8>,
    _ answer: Span<UInt8>,
    isPublic: Bool
  ) -> DictionaryLesson? {
    guard let remembered = plan.dictionaries?.remembered, exchange.request.method == .get else {
      return nil
    }
    let response = worker.composedHead
    guard response.status == 200, DictionaryUse.isOffered(by: response, in: answer),
      response.first(.setCookie) == nil,
      isPublic || exchange.request.first(.cookie) == nil,
      isPublic || exchange.request.first(.authorization) == nil,
      !CompressionRules.isPrivate(response, in: answer)
    else { return nil }
    if let length = response.knownLength, length > remembered.settings.bodyBytes { return nil }
    let origin = origin(exchange, head)
    var source = origin
    source.append(copying: head.extracting(exchange.request.path.range))
    if exchange.request.hasQuery {
      source.append(0x3F)
      source.append(copying: head.extracting(exchange.request.query.range))
    }
    var hasValidator = false
    for name in [FieldName.eTag, .lastModified] {
      guard let line = response.first(name) else { continue }
      hasValidator = true
      source.append(0x0A)
      source.append(copying: answer.extracting(line.valueRange.range))
    }
    guard remembered.begin(source, isVersion: hasValidator) else { return nil }
    return DictionaryLesson(remembered, source: source, origin: origin)
  }

  /// Has a thread make a dictionary of an answer that was sent.
  func learn(_ lesson: DictionaryLesson, _ plan: CompressionPlan) {
    guard let threads = CodingThreads.shared, let bytes = lesson.finish() else { return }
    let (remembered, source, origin) = (lesson.remembered, lesson.source, lesson.origin)
    do throws(BlockingPool.Refusal) {
      try threads.submit { _ = remembered.note(bytes, source, of: origin) }
      worker.counters.add(to: plan.metrics[.remembered])
    } catch {
      remembered.giveUp(source)
    }
  }
}
