import TLS

/// How it is verified that blocks come as they were sent.
enum BlockVerification: String, Sendable, CaseIterable {
  /// A code of 16 bytes, which finds what networks and disks change, and costs much less than the other.
  case gmac
  /// A digest of 32 bytes; nobody can make two contents that have the same.
  case sha256 = "sha-256"

  /// How many bytes a digest has.
  var byteCount: Int {
    switch self {
    case .gmac: RunningCheck.byteCount
    case .sha256: RunningDigest.Algorithm.sha256.byteCount
    }
  }
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
      let key = try TLSDigest.sha256(Array(file.name.utf8)).prefix(RunningCheck.keyCount)
      // The same bytes at another place have another one.
      var nonce = [UInt8](repeating: 0, count: RunningCheck.nonceCount)
      for place in 0..<8 {
        nonce[nonce.count - 1 - place] = UInt8(truncatingIfNeeded: block >> (8 * place))
      }
      form = .check(try RunningCheck(key: Array(key), nonce: nonce))
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
