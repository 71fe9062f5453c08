import HTTPMessage
import MartletBytes
import MartletLoop
import MartletSystem
import MartletTelemetry
import StaticFiles
import TLS

/// Digests of files, for clients that want one.
///
/// A digest is made once for each form of a file, on a thread, and kept with it. It is a wish, so that it is not made
/// for very large files, nor twice at a time.
///
/// - Source: RFC 9530, sections 3 and 4.
extension HTTP1Connection {
  /// The line of a head that has the digest which a request wants; empty: it wants none, or there is none.
  func digestLine(
    _ exchange: Exchange,
    _ representation: Representation,
    _ head: borrowing Lent
  ) async throws(ExchangeError) -> [UInt8] {
    guard let algorithm = wantedDigest(exchange, head.bytes) else { return [] }
    let name = algorithm.rawValue
    if representation.digests[name] == nil {
      guard representation.byteCount <= Self.digestedByteLimit, !representation.isBeingDigested
      else { return [] }
      representation.isBeingDigested = true
      defer { representation.isBeingDigested = false }
      let (bytes, file, count) = (
        representation.bytes, representation.file, representation.byteCount
      )
      representation.digests[name] = try await onFileThread {
        Self.digest(algorithm, bytes, file, count)
      }
    }
    guard let digest = representation.digests[name] else { return [] }
    return Array("Repr-Digest: \(name)=:".utf8) + Base64.encoded(digest.span) + Array(":\r\n".utf8)
  }

  /// The largest file whose digest is made because a client wants it.
  private static let digestedByteLimit: Int64 = 1 << 30

  /// The digest that a request likes best of those that are known here.
  func wantedDigest(_ exchange: Exchange, _ head: Span<UInt8>) -> RunningDigest.Algorithm? {
    var best: (algorithm: RunningDigest.Algorithm, weight: Int64)?
    for line in exchange.request.fields
    where line.name == .other && line.nameRange.count == Self.wantField.count {
      guard equalIgnoringCase(head.extracting(line.nameRange.range), Self.wantField.span) else {
        continue
      }
      var walk = DictionaryWalk(line.valueRange.range)
      while let (key, value) = walk.next(in: head) {
        guard case .integer(let weight) = value, 1...10 ~= weight,
          let algorithm = RunningDigest.Algorithm(
            rawValue: String(decoding: head.extracting(key))
          )
        else { continue }
        if weight > best?.weight ?? 0 { best = (algorithm, weight) }
      }
      // What breaks the grammar says nothing (RFC 9651, section 4.2).
      if walk.isBroken { return nil }
    }
    return best?.algorithm
  }

  private static let wantField = Array("want-repr-digest".utf8)

  /// The digest of bytes that are kept, or of a file; nil: it cannot be made, or is not that of so many bytes.
  private static func digest(
    _ algorithm: RunningDigest.Algorithm,
    _ bytes: [UInt8]?,
    _ file: OpenFile?,
    _ count: Int64
  ) -> [UInt8]? {
    do throws(TLSError) {
      let digest = try RunningDigest(algorithm)
      if let bytes {
        digest.add(bytes.span)
        return digest.finish()
      }
      guard let file, add(file, to: digest) == count else { return nil }
      return digest.finish()
    } catch {
      return nil
    }
  }

  /// - Returns: How many bytes a file has; -1: it cannot be read.
  private static func add(_ file: OpenFile, to digest: RunningDigest) -> Int64 {
    var offset = 0
    do throws(SystemError) {
      while true {
        let bytes = try file.descriptor.read(upTo: 1 << 18, at: offset)
        if bytes.isEmpty { return Int64(offset) }
        digest.add(bytes.span)
        offset += bytes.count
      }
    } catch {
      return -1
    }
  }
}
