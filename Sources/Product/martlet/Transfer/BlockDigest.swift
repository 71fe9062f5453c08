import TLS

/// How it is verified that blocks come as they were sent.
enum BlockVerification: String, Sendable, CaseIterable {
  /// A code of 16 bytes, which finds what networks and disks change, and costs much less than the other.
  case gmac
  /// A digest of 32 bytes; nobody can make two contents that have the same.
  case sha256 = "sha-256"

  /// How many bytes a digest has.
  var byteCount: Int { self == .gmac ? RunningCheck.byteCount : 32 }
}

/// The digest of a block while its bytes come.
struct BlockDigest: ~Copyable {
  private enum Form {
    case check(RunningCheck)
    case digest(RunningDigest)
  }

  private let form: Form

  /// Begins with nothing of a block.
  init(_ verification: BlockVerification, of file: TransferFile, block: Int) throws(TLSError) {
    switch verification {
    case .sha256: form = .digest(try RunningDigest(.sha256))
    case .gmac:
      let name = try RunningDigest(.sha256)
      name.add(Array(file.name.utf8).span)
      let key = Array(name.finish().prefix(RunningCheck.keyCount))
      // The same bytes at another place have another one.
      var nonce = [UInt8](repeating: 0, count: RunningCheck.nonceCount)
      for place in 0..<8 {
        nonce[nonce.count - 1 - place] = UInt8(truncatingIfNeeded: block >> (8 * place))
      }
      form = .check(try RunningCheck(key: key, nonce: nonce))
    }
  }

  func add(_ bytes: Span<UInt8>) {
    switch form {
    case .check(let check): check.add(bytes)
    case .digest(let digest): digest.add(bytes)
    }
  }

  func finish() -> [UInt8] {
    switch form {
    case .check(let check): check.finish()
    case .digest(let digest): digest.finish()
    }
  }
}
