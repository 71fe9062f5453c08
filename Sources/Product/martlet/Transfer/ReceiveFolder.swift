import MartletSync
import MartletSystem
import TLS

/// The folder that files are received into, and the files that are under way.
///
/// What has not come whole lies in a folder of its own below it, with a list of the blocks that are verified. No
/// name leads out of the folder, nor through a symbolic link.
final class ReceiveFolder: Sendable {
  /// Where files lie that have not come whole.
  static let workName = ".martlet-transfer"
  /// The most files that are under way.
  private static let openLimit = 1024

  /// What became of an offer.
  enum Standing {
    /// The file is there already.
    case whole
    /// It is under way.
    case open(ReceivedFile)
  }

  private let folder: Folder
  private let work: Folder
  private let replaces: Bool
  private let syncs: Bool
  private let open = Locked<[String: ReceivedFile]>([:])

  init(_ path: String, replaces: Bool, syncs: Bool) throws(SystemError) {
    folder = try Folder(path)
    _ = try folder.makeFolder(Array(Self.workName.utf8), rights: 0o700)
    work = try folder.folder(Array(Self.workName.utf8), links: .never)
    self.replaces = replaces
    self.syncs = syncs
  }

  // MARK: Names

  /// A folder, and a name in it.
  private struct Place: ~Copyable {
    let folder: Folder
    let last: [UInt8]
  }

  /// The folder that a file of this name lies in, made where it is not there, and its name in it.
  private func place(of name: String) throws -> Place {
    var parts = try TransferFile.parts(of: name)
    let last = parts.removeLast()
    var place = try folder.folder([], links: .never)
    for part in parts { place = try Self.entered(part, in: place) }
    return Place(folder: place, last: last)
  }

  private static func entered(_ name: [UInt8], in folder: borrowing Folder) throws -> Folder {
    _ = try folder.makeFolder(name, rights: 0o777)
    return try folder.folder(name, links: .never)
  }

  /// Makes a folder, and those above it.
  func makeFolder(_ name: String, rights: UInt32) throws {
    let place = try place(of: name)
    // Its owner must be able to write what comes into it.
    if try place.folder.makeFolder(place.last, rights: rights & 0o777 | 0o700) { return }
    guard try place.folder.facts(of: place.last, follows: false).kind == .folder else {
      throw TransferProblem("\(name) is there, and is no folder")
    }
  }

  /// Whether a file is there as it is told of, by its size and time.
  private func isThere(_ file: TransferFile) throws -> Bool {
    let place = try place(of: file.name)
    let facts: FileFacts
    do throws(SystemError) {
      facts = try place.folder.facts(of: place.last, follows: false)
    } catch {
      guard error.code == Self.noFile else { throw error }
      return false
    }
    if facts.kind == .regular, facts.byteCount == file.byteCount,
      facts.modifiedNanoseconds == file.modified
    {
      return true
    }
    guard replaces, facts.kind == .regular else {
      throw TransferProblem("\(file.name) is there, and is another one")
    }
    return false
  }

  // MARK: Files

  /// Begins or goes on with a file; reads again what is there of it.
  func begin(
    _ file: TransferFile,
    _ verification: BlockVerification,
    session: String
  ) throws -> Standing {
    if let file = try find(file, session: session) { return .open(file) }
    if try isThere(file) { return .whole }
    let name = TransferDigest.text(try TLSDigest.sha256(Array(file.name.utf8)).prefix(16))
    let made = try ReceivedFile(file, verification, session: session, name, in: work)
    try made.readAgain()
    try open.withLock { open throws(TransferProblem) in
      guard open.count < Self.openLimit else {
        throw TransferProblem("too many files are under way", mayBeTriedAgain: true)
      }
      open[file.name] = made
    }
    return .open(made)
  }

  /// The file that is under way; nil when it is not.
  func find(_ file: TransferFile, session: String) throws(TransferProblem) -> ReceivedFile? {
    guard let found = open.withLock({ $0[file.name] }) else { return nil }
    guard found.session == session else {
      throw TransferProblem("\(file.name) is being sent by somebody else", mayBeTriedAgain: true)
    }
    guard found.file == file else { throw TransferProblem("\(file.name) has changed") }
    return found
  }

  /// Puts a file that has come whole where it belongs.
  func finish(_ file: ReceivedFile, digest: [UInt8]) throws {
    guard try file.isWhole(digest: digest) else {
      drop(file)
      try file.discard(in: work)
      throw TransferProblem(
        "\(file.file.name) came otherwise than it was sent",
        mayBeTriedAgain: true
      )
    }
    try file.complete(syncs: syncs)
    let place = try place(of: file.file.name)
    if replaces {
      try work.rename(file.partName, to: place.last, in: place.folder)
    } else {
      // Unlike a rename this never takes the place of what came meanwhile.
      do throws(SystemError) {
        try work.link(file.partName, to: place.last, in: place.folder)
      } catch {
        guard error.code == Self.fileExists else { throw error }
        throw TransferProblem("\(file.file.name) is there, and is another one")
      }
      try work.remove(file.partName)
    }
    try work.remove(file.listName)
    drop(file)
  }

  private func drop(_ file: ReceivedFile) {
    open.withLock { open in
      if open[file.file.name] === file { open[file.file.name] = nil }
    }
  }

  /// Lets go of the files of a session that is over; what has come of them stays on the disk.
  func end(session: String) {
    open.withLock { open in open = open.filter { $0.value.session != session } }
  }

  /// ENOENT.
  private static let noFile: Int32 = 2
  /// EEXIST.
  private static let fileExists: Int32 = 17
}
