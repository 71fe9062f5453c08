import Configuration
public import HTTPMessage
import MartletBytes
public import MartletSystem
import Synchronization

/// The uploads below a root that are not complete, and those that lately were.
///
/// What is known of each lies on the disk, in a folder of the root that is never served: its bytes as they come, and
/// beside them a record. So they outlive the process, and a process that takes over finds them. In memory there is
/// only which request is at which upload.
///
/// Its calls wait for the disk, so they are not for a loop.
public final class UploadStore: Sendable {
  /// The name of the folder.
  static let folderName = Array(".martlet-uploads".utf8)
  /// How long it is remembered that an upload is complete.
  private static let rememberedSeconds: Int64 = 3600
  /// How often uploads are looked for whose time is over.
  private static let sweepSeconds: Int64 = 60

  /// The uploads at which requests are, of all roots: names are never given twice.
  private static let active = Mutex<[UploadName: FileUpload]>([:])

  private struct Counts {
    var sweptAt: Int64?
    var open = 0
    var openBytes: Int64 = 0
    var remembered = 0
  }

  /// Where the files are put.
  private let rules: FileRules
  /// Where their files are put, by its path.
  public var root: String { rules.settings.root }
  /// How many there may be.
  public let countLimit: Int
  /// How many bytes one may have.
  public let byteLimit: Int64
  /// How long one is kept, in seconds.
  public let ageLimit: Int64
  private let counts = Mutex(Counts())

  /// Creates the uploads below the root of `rules`; nil where these allow none.
  public init?(_ rules: FileRules) {
    guard let settings = rules.settings.uploads else { return nil }
    self.rules = rules
    countLimit = settings.count
    byteLimit = Int64(settings.byteCount)
    ageLimit = settings.age.components.seconds
  }

  /// How many are not complete, and how many bytes they have; as it was when that was last looked at.
  public var openCounts: (count: Int, bytes: Int64) {
    counts.withLock { ($0.open, $0.openBytes) }
  }

  /// How many seconds an upload is still kept.
  public func seconds(left record: UploadRecord, at now: Int64) -> Int64 {
    max(0, record.createdSeconds + ageLimit - now)
  }

  // MARK: Uploads

  /// Begins an upload; `digests` are those of the whole, if they were sent.
  ///
  /// - Throws: ``UploadFailure``; ``UploadFailure/noPlace`` where there are too many, or the folder of the file is
  ///   on another file system.
  public func begin(
    _ path: RelativePath,
    length: Int64?,
    digests: String? = nil,
    replacing before: FileFacts?,
    at now: Int64
  ) throws(UploadFailure) -> FileUpload {
    guard takePlace(at: now) else { throw .noPlace }
    var record = UploadRecord(path: path, createdSeconds: now, length: length, before: before)
    record.digests = digests
    let name = UploadName.random()
    do throws(SystemError) {
      let folder = try openFolder(makes: true)
      let parent = try Folder(rules.settings.root).folder(path.parent, links: rules.links)
      let (own, there) = (
        try folder.facts(of: [], follows: true), try parent.facts(of: [], follows: true)
      )
      guard own.device == there.device else { throw SystemError(.rename, Self.otherDevice) }
      let file: OpenFile
      do throws(SystemError) {
        try write(record, of: name, in: folder)
        file = OpenFile(try folder.create(Self.bytes(name), rights: 0o600))
        _ = try file.descriptor.lock()
        try folder.open([], links: .never).sync()
      } catch {
        erase(name, in: folder)
        throw error
      }
      let upload = FileUpload(name, record, file: file, offset: 0, isSynced: true, limit: byteLimit)
      Self.active.withLock { $0[name] = upload }
      return upload
    } catch {
      counts.withLock { $0.open = max(0, $0.open - 1) }
      throw error.code == Self.otherDevice ? .noPlace : UploadFailure(error)
    }
  }

  /// Takes over an upload of a file at `path`, from whatever request is at it.
  ///
  /// ``release(_:)`` is to be called when that is over.
  ///
  /// - Throws: ``UploadFailure``.
  public func take(
    _ name: UploadName,
    of path: RelativePath,
    at now: Int64
  ) throws(UploadFailure) -> FileUpload {
    let upload = try Self.active.withLock { active throws(UploadFailure) -> FileUpload in
      if let other = active[name], other.isFinishing { throw .busy }
      let other = active.removeValue(forKey: name)
      let upload = try open(name, path, at: now, file: other?.close())
      active[name] = upload
      return upload
    }
    // What is told of it must stay true.
    do throws(UploadFailure) { try upload.sync() } catch {
      release(upload)
      throw error
    }
    return upload
  }

  /// Lets go of an upload, so that its file is closed; a later request may have taken it over.
  public func release(_ upload: FileUpload) {
    Self.active.withLock { active in
      guard active[upload.name] === upload else { return }
      active[upload.name] = nil
      // Nobody has taken it over, so that the file is this request's alone.
      upload.close()?.descriptor.unlock()
    }
  }

  private func open(
    _ name: UploadName,
    _ path: RelativePath,
    at now: Int64,
    file taken: OpenFile?
  ) throws(UploadFailure) -> FileUpload {
    let folder = try existingFolder()
    guard let record = read(name, in: folder), Array(record.path.utf8) == path.bytes,
      seconds(left: record, at: now) > 0
    else { throw .missing }
    let done = FileUpload(
      name,
      record,
      file: nil,
      offset: record.length ?? 0,
      isSynced: true,
      limit: byteLimit
    )
    if record.state == .complete { return done }
    do throws(SystemError) {
      let file: OpenFile
      if let taken {
        file = taken
      } else {
        file = OpenFile(try folder.append(to: Self.bytes(name)))
        guard try file.descriptor.lock() else { throw SystemError(.flock, Self.held) }
      }
      let offset = try file.descriptor.facts().byteCount
      return FileUpload(name, record, file: file, offset: offset, isSynced: false, limit: byteLimit)
    } catch {
      switch error.code {
      // The process has ended when the file was in place and that was not noted yet.
      case Self.noEntry where record.state == .finishing: return done
      case Self.noEntry: throw .missing
      case Self.held: throw .busy
      default: throw UploadFailure(error)
      }
    }
  }

  /// Notes how long the whole is, which was not known before.
  ///
  /// - Throws: ``UploadFailure``.
  public func note(_ length: Int64, of upload: FileUpload) throws(UploadFailure) {
    guard upload.record.length == nil else { return }
    do throws(SystemError) {
      let folder = try openFolder(makes: false)
      try write(upload.noted(length), of: upload.name, in: folder)
    } catch {
      throw UploadFailure(error)
    }
  }

  /// Removes an upload and what has come of it.
  public func cancel(_ upload: FileUpload) {
    _ = upload.close()
    release(upload)
    do throws(SystemError) {
      let folder = try openFolder(makes: false)
      erase(upload.name, in: folder)
    } catch {
      // Without a folder there is nothing to remove.
    }
    counts.withLock { counts in
      if upload.isComplete {
        counts.remembered = max(0, counts.remembered - 1)
      } else {
        counts.open = max(0, counts.open - 1)
      }
    }
  }

  /// Puts the file in place, if there still is what was there before.
  ///
  /// All of it is on the disk when this returns. Where that is not possible for good, the upload is removed. `hasDigests`
  /// tells whether a file has the digests that its record names.
  ///
  /// - Throws: ``UploadFailure``.
  public func finish(
    _ upload: FileUpload,
    length: Int64?,
    hasDigests: (OpenFile, String) throws(SystemError) -> Bool = { _, _ throws(SystemError) in true
    }
  ) throws(UploadFailure) {
    let (file, offset) = try upload.closeOnce()
    if let length, length != offset {
      cancel(upload)
      throw .length
    }
    if let digests = upload.record.digests, try !isSound(upload.name, digests, hasDigests) {
      cancel(upload)
      throw .digest
    }
    do throws(SystemError) {
      let folder = try openFolder(makes: false)
      var record = upload.record
      record.length = offset
      record.state = .finishing
      try write(record, of: upload.name, in: folder)
      try file.descriptor.setRights(record.before?.rights ?? 0o644)
      try file.descriptor.sync()
      try place(upload.name, record, file, from: folder)
      record.state = .complete
      try write(record, of: upload.name, in: folder)
    } catch {
      let failure = UploadFailure(error)
      switch failure {
      case .file(.changed), .file(.conflict): cancel(upload)
      default: release(upload)
      }
      throw failure
    }
    release(upload)
    counts.withLock { counts in
      counts.open = max(0, counts.open - 1)
      counts.remembered += 1
    }
  }

  private func isSound(
    _ name: UploadName,
    _ digests: String,
    _ hasDigests: (OpenFile, String) throws(SystemError) -> Bool
  ) throws(UploadFailure) -> Bool {
    do throws(SystemError) {
      let folder = try openFolder(makes: false)
      // Whoever writes to it cannot read it.
      return try hasDigests(OpenFile(try folder.open(Self.bytes(name), links: .never)), digests)
    } catch {
      throw UploadFailure(error)
    }
  }

  private func place(
    _ name: UploadName,
    _ record: UploadRecord,
    _ file: OpenFile,
    from folder: borrowing Folder
  ) throws(SystemError) {
    let target = RelativePath().appending(Array(record.path.utf8))
    let root = try Folder(rules.settings.root)
    let parent = try root.folder(target.parent, links: rules.links)
    let last = Array(target.name)
    if let before = record.before {
      guard before.isOf(try parent.facts(of: last, follows: true)) else {
        throw SystemError(.rename, Self.exists)
      }
      try folder.rename(Self.bytes(name), to: last, in: parent)
    } else {
      do throws(SystemError) {
        // A link is made only where there is no file of that name, even if one appears meanwhile.
        try folder.link(Self.bytes(name), to: last, in: parent)
      } catch {
        guard error.code == Self.exists else { throw error }
        // It was linked before the process has ended.
        let (own, there) = (
          try file.descriptor.facts(), try parent.facts(of: last, follows: false)
        )
        guard own.device == there.device, own.number == there.number else { throw error }
      }
      try folder.remove(Self.bytes(name))
    }
    try parent.open([], links: .never).sync()
  }

  // MARK: Bounds

  /// Takes one of the places for uploads that are not complete.
  private func takePlace(at now: Int64) -> Bool {
    func take() -> Bool {
      counts.withLock { counts in
        guard counts.sweptAt != nil, counts.open < countLimit else { return false }
        counts.open += 1
        return true
      }
    }
    if take() { return true }
    let isDue = counts.withLock { $0.sweptAt.map { now >= $0 + Self.fullSweepSeconds } ?? true }
    guard isDue else { return false }
    _ = sweep(at: now)
    return take()
  }

  private static let fullSweepSeconds: Int64 = 5

  /// Whether it is time to look for uploads whose time is over; who is told so has to do it.
  public func takeSweep(at now: Int64) -> Bool {
    counts.withLock { counts in
      guard counts.sweptAt.map({ now >= $0 + Self.sweepSeconds }) ?? true else { return false }
      counts.sweptAt = now
      return true
    }
  }

  /// Removes uploads whose time is over, and what is left of those that have failed.
  ///
  /// - Returns: How many uploads were removed that were not complete.
  public func sweep(at now: Int64) -> Int {
    // Who else finds that it is time need not do it too.
    counts.withLock { $0.sweptAt = now }
    var found = Counts(sweptAt: now)
    var expired = 0
    do throws(SystemError) {
      let folder = try openFolder(makes: false)
      // Twice: a record and bytes; and what else might be left.
      let names = try folder.open([], links: .never).names(limit: countLimit * 8 + 64)
      var complete: [(name: UploadName, changed: Int64)] = []
      for bytes in names {
        guard let (name, kind) = Self.name(of: bytes) else { continue }
        let changed = (facts(of: bytes, in: folder)?.changedNanoseconds ?? 0) / 1_000_000_000
        guard kind == .record else {
          let isOld = changed + Self.rememberedSeconds < now
          if isOld, kind == .draft || read(name, in: folder) == nil { remove(bytes, in: folder) }
          continue
        }
        let record = read(name, in: folder)
        if let record, record.state == .complete {
          complete.append((name, changed))
        } else if let record, seconds(left: record, at: now) > 0 {
          found.open += 1
          found.openBytes += facts(of: Self.bytes(name), in: folder)?.byteCount ?? 0
        } else if isIdle(name, in: folder) {
          erase(name, in: folder)
          expired += 1
        }
      }
      complete.sort { $0.changed > $1.changed }
      for (index, done) in complete.enumerated() {
        if index < countLimit, done.changed + Self.rememberedSeconds >= now {
          found.remembered += 1
        } else {
          erase(done.name, in: folder)
        }
      }
    } catch {
      // Without a folder there are none.
    }
    counts.withLock { $0 = found }
    return expired
  }

  /// Whether no request of any process is at an upload.
  private func isIdle(_ name: UploadName, in folder: borrowing Folder) -> Bool {
    if Self.active.withLock({ $0[name] != nil }) { return false }
    do throws(SystemError) {
      return try folder.append(to: Self.bytes(name)).lock()
    } catch {
      return error.code == Self.noEntry
    }
  }

  private func facts(of file: [UInt8], in folder: borrowing Folder) -> FileFacts? {
    do throws(SystemError) { return try folder.facts(of: file, follows: false) } catch {
      return nil
    }
  }

  // MARK: The folder

  // The kernel's numbers.
  private static let noEntry: Int32 = 2
  private static let held: Int32 = 11
  private static let exists: Int32 = 17
  private static let otherDevice: Int32 = 18

  private enum Kind { case bytes, record, draft }

  private static func bytes(_ name: UploadName) -> [UInt8] { Array("\(name).part".utf8) }
  private static func record(_ name: UploadName) -> [UInt8] { Array("\(name).json".utf8) }
  private static func draft(_ name: UploadName) -> [UInt8] { Array("\(name).new".utf8) }

  /// What a file of the folder is; nil: nothing of ours.
  private static func name(of bytes: [UInt8]) -> (UploadName, Kind)? {
    guard bytes.count > 32, let name = UploadName(hexadecimal: bytes.span.extracting(0..<32)) else {
      return nil
    }
    switch bytes {
    case Self.bytes(name): return (name, .bytes)
    case record(name): return (name, .record)
    case draft(name): return (name, .draft)
    default: return nil
    }
  }

  private func openFolder(makes: Bool) throws(SystemError) -> Folder {
    let root = try Folder(rules.settings.root)
    if makes { _ = try root.makeFolder(Self.folderName, rights: 0o700) }
    return try root.folder(Self.folderName, links: .never)
  }

  private func existingFolder() throws(UploadFailure) -> Folder {
    do throws(SystemError) {
      return try openFolder(makes: false)
    } catch {
      throw error.code == Self.noEntry ? .missing : UploadFailure(error)
    }
  }

  private func read(_ name: UploadName, in folder: borrowing Folder) -> UploadRecord? {
    do throws(SystemError) {
      let file = try folder.open(Self.record(name), links: .never)
      return UploadRecord(text: try file.readAll(limit: UploadRecord.byteCount))
    } catch {
      return nil
    }
  }

  /// Puts a record in place, all of it or nothing.
  private func write(
    _ record: UploadRecord,
    of name: UploadName,
    in folder: borrowing Folder
  ) throws(SystemError) {
    let draft = Self.draft(name)
    remove(draft, in: folder)
    let file = try folder.create(draft, rights: 0o600)
    try file.writeAll(record.text)
    try file.sync()
    try folder.rename(draft, to: Self.record(name))
  }

  private func erase(_ name: UploadName, in folder: borrowing Folder) {
    for file in [Self.record(name), Self.bytes(name), Self.draft(name)] {
      remove(file, in: folder)
    }
  }

  private func remove(_ file: [UInt8], in folder: borrowing Folder) {
    do throws(SystemError) { try folder.remove(file) } catch {
      // What is not there need not be removed; what cannot be removed is found again by a sweep.
    }
  }
}
