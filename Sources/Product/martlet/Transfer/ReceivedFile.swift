import JSON
import MartletSync
import MartletSystem
import TLS

/// A file that has not come whole: its bytes, and which blocks of them are verified.
final class ReceivedFile: Sendable {
  let file: TransferFile
  let session: String
  private let verification: BlockVerification
  let partName: [UInt8]
  let listName: [UInt8]
  private let part: Descriptor
  /// A line for each block that is verified, with its digest, behind one that says which file it is.
  private let list: Descriptor
  private let digests: Locked<[[UInt8]?]>

  init(
    _ file: TransferFile,
    _ verification: BlockVerification,
    session: String,
    _ name: String,
    in work: borrowing Folder
  ) throws(SystemError) {
    self.file = file
    self.session = session
    self.verification = verification
    partName = Array("\(name).part".utf8)
    listName = Array("\(name).list".utf8)
    part = try work.openShared(partName, rights: 0o600)
    list = try work.openShared(listName, rights: 0o600)
    digests = Locked(Array(repeating: nil, count: file.blockCount))
  }

  private var header: String {
    let digest = JSONValue.Member("digest", .text(verification.rawValue))
    return file.head("martlet-transfer 1", [digest]).compact
  }

  /// Reads the list, and again all blocks that it has: what is on the disk counts, not what was said.
  func readAgain() throws {
    // Another process may receive into the same folder, and so may another coroutine of this one.
    guard try part.lock() else {
      throw TransferProblem("\(file.name) is being received already", mayBeTriedAgain: true)
    }
    let limit = 4096 + 6 * TransferFile.nameLimit + file.blockCount * 80
    var isSame = false
    if try list.facts().byteCount <= limit {
      let lines = try list.readAll(limit: limit).split(separator: 0x0A)
      isSame = lines.first.map { $0.elementsEqual(header.utf8) } ?? false
      if isSame { for line in lines.dropFirst() { try verify(line) } }
    }
    if !isSame {
      // Not one that is empty: ext4 writes a file that was cut to nothing out to the disk before it is closed.
      if try part.facts().byteCount > 0 { try part.shorten(to: 0) }
      try list.replaceContent(by: Array("\(header)\n".utf8))
    }
    // What a line that was cut off has left ends here.
    _ = try list.write([0x0A], at: Int(try list.facts().byteCount))
  }

  private func verify(_ line: some Sequence<UInt8>) throws {
    let words = String(decoding: Array(line), as: UTF8.self).split(separator: " ")
    guard words.count == 2, let block = Int(words[0]), 0..<file.blockCount ~= block,
      let told = TransferDigest.bytes(String(words[1]), count: verification.byteCount)
    else { return }
    let digest = try BlockDigest(verification, of: file, block: block)
    let range = file.range(of: block)
    var offset = range.lowerBound
    while offset < range.upperBound {
      let bytes = try part.read(upTo: min(256 << 10, range.upperBound - offset), at: offset)
      guard !bytes.isEmpty else { return }
      digest.add(bytes.span)
      offset += bytes.count
    }
    guard digest.finish() == told else { return }
    digests.withLock { $0[block] = told }
  }

  /// The blocks that are verified.
  var blocks: BlockSet {
    digests.withLock { digests in
      var blocks = BlockSet(count: digests.count)
      for (block, digest) in digests.enumerated() where digest != nil { blocks.insert(block) }
      return blocks
    }
  }

  /// How many bytes those have.
  var verifiedBytes: Int {
    digests.withLock { digests in
      digests.indices.reduce(0) { $0 + (digests[$1] == nil ? 0 : file.range(of: $1).count) }
    }
  }

  /// Writes bytes to their place.
  func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
    var sent = 0
    while sent < bytes.count {
      sent += try part.write(bytes.extracting(sent...), at: offset + sent)
    }
  }

  /// Notes that a block has come as it was sent.
  func note(_ block: Int, digest: [UInt8]) throws(SystemError) {
    let line = Array("\(block) \(TransferDigest.text(digest))\n".utf8)
    // Under the lock: two lines must not take the same place.
    try digests.withLock { digests throws(SystemError) in
      _ = try list.write(line, at: Int(try list.facts().byteCount))
      digests[block] = digest
    }
  }

  /// Whether all blocks have come, and are together what was sent.
  func isWhole(digest: [UInt8]) throws -> Bool {
    let blocks = digests.withLock { $0 }
    let there = blocks.compactMap { $0 }
    guard there.count == blocks.count else {
      throw TransferProblem("blocks of \(file.name) are missing", mayBeTriedAgain: true)
    }
    return try TransferDigest.whole(there) == digest
  }

  /// Gives the file its size, rights and time.
  func complete(syncs: Bool) throws(SystemError) {
    try part.shorten(to: Int64(file.byteCount))
    try part.setRights(file.rights)
    try part.setModified(file.modified)
    if syncs { try part.sync() }
  }

  /// Removes all that has come.
  func discard(in work: borrowing Folder) throws(SystemError) {
    try work.remove(partName)
    try work.remove(listName)
  }
}
