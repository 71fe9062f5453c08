import CLinux

/// Calls on paths of the file system.
public enum Files {
  /// Makes a directory that only its owner may enter.
  ///
  /// - Returns: Whether it was made; false when something of that name was there.
  /// - Throws: ``SystemError`` when it cannot be made. System call: `mkdir(2)`.
  public static func makePrivateDirectory(_ path: String) throws(SystemError) -> Bool {
    let result = unsafe martlet_mkdir(path, 0o700)
    if result == -Int64(EEXIST) { return false }
    try check(result, .mkdir)
    return true
  }

  /// Makes a directory that only `owner` may enter, if it is not there, and those above it, which anybody may.
  ///
  /// - Parameters:
  ///   - path: The whole path.
  ///   - owner: Whose it will be; nil: that of this process.
  /// - Throws: ``SystemError`` when one of them cannot be made. System calls: `mkdir(2)`, `chown(2)`.
  public static func makePrivateDirectory(
    _ path: String,
    for owner: UserRights?
  ) throws(SystemError) {
    var place = ""
    for part in path.split(separator: "/").dropLast() {
      place += "/\(part)"
      // The owner may be another one, and must be able to come here.
      if try makePrivateDirectory(place) { try setRights(of: place, to: 0o755) }
    }
    if try makePrivateDirectory(path), let owner, owner.user != Processes.ownUser {
      try give(path, to: owner)
    }
  }

  /// What a name of the file system stands for.
  public struct Status: Hashable, Sendable {
    /// The number of the owner.
    public var user: UInt32
    /// The number of the group.
    public var group: UInt32
    /// The rights, as `chmod(1)` writes them in octal.
    public var rights: UInt32
    /// Whether it is a directory, and not a link to one.
    public var isDirectory: Bool
  }

  /// Looks at a file, not following a symbolic link.
  ///
  /// - Throws: ``SystemError`` when there is none. System call: `lstat(2)`.
  public static func status(of path: String) throws(SystemError) -> Status {
    var status = martlet_file_status()
    // Safe: the shim writes one structure.
    try check(unsafe martlet_status(path, &status), .stat)
    return Status(
      user: status.user,
      group: status.group,
      rights: status.mode & 0o7777,
      isDirectory: status.mode & martlet_kind_mask == martlet_kind_directory
    )
  }

  /// Removes a name; none of that name is no error.
  ///
  /// - Throws: ``SystemError``. System call: `unlink(2)`.
  public static func remove(_ path: String) throws(SystemError) {
    let result = unsafe martlet_unlink(path)
    if result != -Int64(ENOENT) { try check(result, .unlink) }
  }

  /// Removes a directory that is empty.
  ///
  /// - Throws: ``SystemError``: with code 39 (ENOTEMPTY) when it is not. System call: `rmdir(2)`.
  public static func removeDirectory(_ path: String) throws(SystemError) {
    try check(unsafe martlet_remove_directory(path), .rmdir)
  }

  /// Sets the rights of a file.
  ///
  /// - Throws: ``SystemError``. System call: `chmod(2)`.
  public static func setRights(of path: String, to rights: UInt32) throws(SystemError) {
    try check(unsafe martlet_chmod(path, rights), .chmod)
  }

  /// Gives a file to another user and group.
  ///
  /// - Throws: ``SystemError``. System call: `chown(2)`.
  public static func give(_ path: String, to rights: UserRights) throws(SystemError) {
    try check(unsafe martlet_chown(path, rights.user, rights.group), .chown)
  }

  /// What a symbolic link points to, at most 4096 bytes.
  ///
  /// - Throws: ``SystemError`` when it is no link. System call: `readlink(2)`.
  public static func target(of path: String) throws(SystemError) -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    // Safe: the kernel writes no more than the array holds.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe martlet_read_link(
        path,
        storage.baseAddress?.assumingMemoryBound(to: CChar.self),
        storage.count
      )
    }
    let count = try check(result, .readlink)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }

  /// The names in a directory, without `.` and `..`; none when it cannot be read.
  public static func names(in path: String) -> [String] {
    // Safe: the directory is closed after the last name, and each name is copied at once.
    guard let directory = unsafe martlet_open_directory(path) else { return [] }
    defer { unsafe martlet_close_directory(directory) }
    var names: [String] = []
    while let name = unsafe martlet_next_name(directory) {
      let name = unsafe String(cString: name)
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// The bytes of a file, at most `limit`.
  ///
  /// - Throws: ``SystemError`` when it cannot be read, or with code 27 (EFBIG) when it is longer.
  public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    let file = try Descriptor.open(path, .read)
    return try file.readAll(limit: limit)
  }
}

extension Files {
  /// Puts `bytes` in place of a file's content, all of them or none, and keeps its rights.
  ///
  /// - Throws: ``SystemError`` when its folder cannot be written. System call: `rename(2)`.
  public static func replace(_ path: String, by bytes: [UInt8]) throws(SystemError) {
    let status = try status(of: path)
    let new = "\(path).new-\(Processes.own)"
    let file = try Descriptor.open(new, .replace)
    try file.writeAll(bytes)
    try setRights(of: new, to: status.rights)
    try check(unsafe martlet_rename(new, path), .rename)
  }

  /// Puts `bytes` in place of the content of the file that a path leads to, all of them or none, also
  /// when the machine stops meanwhile; its rights and its owner stay.
  ///
  /// - Throws: ``SystemError`` when its folder cannot be written. System calls: `fsync(2)`,
  ///   `rename(2)`.
  public static func exchange(_ path: String, by bytes: [UInt8]) throws(SystemError) {
    var path = path
    for _ in 0..<linkCount {
      let target: String
      do throws(SystemError) { target = try Self.target(of: path) } catch { break }
      let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
      path = target.hasPrefix("/") ? target : folder + target
    }
    let status = try status(of: path)
    let new = "\(path).new-\(Processes.own)"
    do throws(SystemError) {
      let file = try Descriptor.open(new, .replace)
      // Others may not read before the rights are those of the old one.
      try setRights(of: new, to: 0o600)
      try file.writeAll(bytes)
      try check(unsafe martlet_chown(new, status.user, status.group), .chown)
      try setRights(of: new, to: status.rights)
      try check(martlet_sync(file.number), .fsync)
      try check(unsafe martlet_rename(new, path), .rename)
    } catch {
      do throws(SystemError) { try remove(new) } catch {}
      throw error
    }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let directory = try Descriptor.open(folder, .read)
    try check(martlet_sync(directory.number), .fsync)
  }

  // As many as the kernel follows.
  private static let linkCount = 40

  /// Makes a file with these bytes that its owner alone may read, or puts it in place of one: all of it or
  /// nothing, but it may be gone when the machine stops.
  ///
  /// - Throws: ``SystemError`` when its folder cannot be written. System call: `rename(2)`.
  public static func put(_ bytes: [UInt8], at path: String) throws(SystemError) {
    let new = "\(path).new-\(Processes.own)"
    let file = try Descriptor.open(new, .replace)
    try setRights(of: new, to: 0o600)
    try file.writeAll(bytes)
    try check(unsafe martlet_rename(new, path), .rename)
  }

  /// Makes a file with these bytes and rights, or puts it in place of one: all of it or nothing, also
  /// when the machine stops meanwhile.
  ///
  /// - Throws: ``SystemError`` when its folder cannot be written. System calls: `fsync(2)`,
  ///   `rename(2)`.
  public static func write(
    _ bytes: [UInt8],
    to path: String,
    rights: UInt32
  ) throws(SystemError) {
    let new = "\(path).new-\(Processes.own)"
    let file = try Descriptor.open(new, .replace)
    try setRights(of: new, to: rights)
    try file.writeAll(bytes)
    try check(martlet_sync(file.number), .fsync)
    try check(unsafe martlet_rename(new, path), .rename)
  }
}

extension Descriptor {
  /// Reads to the end, at most `limit` bytes.
  ///
  /// - Throws: ``SystemError`` when the call fails, or with code 27 (EFBIG) when there are more.
  public borrowing func readAll(limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let part = try read(upTo: 64 << 10)
      if part.isEmpty { return bytes }
      guard bytes.count + part.count <= limit else { throw SystemError(.read, EFBIG) }
      bytes += part
    }
  }

  /// Writes all of `bytes` to a file that does not make its writer wait.
  ///
  /// - Throws: ``SystemError`` when the call fails.
  public borrowing func writeAll(_ bytes: [UInt8]) throws(SystemError) {
    var sent = 0
    while sent < bytes.count { sent += try write(bytes.span.extracting(sent...)) }
  }

  /// Takes the lock of the file until this descriptor and its duplicates are closed.
  ///
  /// - Returns: False when another process has it.
  /// - Throws: ``SystemError``. System call: `flock(2)`.
  public borrowing func lock() throws(SystemError) -> Bool {
    let result = martlet_lock(number)
    if result == -Int64(EWOULDBLOCK) { return false }
    try check(result, .flock)
    return true
  }

  /// Gives back the lock of the file, before this descriptor is closed.
  ///
  /// System call: `flock(2)`.
  public borrowing func unlock() { _ = martlet_unlock(number) }

  /// Opens a file to be read and written, made with mode 600 if it is not there.
  ///
  /// - Throws: ``SystemError``. System call: `open(2)`.
  public static func openShared(_ path: String) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: Int32(try check(unsafe martlet_open(path, O_RDWR | O_CREAT, 0o600), .open))
    )
  }

  /// Puts `bytes` in place of what the file holds, and goes to its start.
  ///
  /// - Throws: ``SystemError``. System calls: `ftruncate(2)`, `lseek(2)`, `write(2)`.
  public borrowing func replaceContent(by bytes: [UInt8]) throws(SystemError) {
    try check(martlet_truncate(number), .ftruncate)
    try rewind()
    try writeAll(bytes)
    try rewind()
  }

  /// Cuts off what the file holds behind so many bytes, and goes to its end.
  ///
  /// - Throws: ``SystemError``. System calls: `ftruncate(2)`, `lseek(2)`.
  public borrowing func shorten(to byteCount: Int64) throws(SystemError) {
    try check(martlet_shorten(number, byteCount), .ftruncate)
  }

  /// A file without a name, of a size that nobody can change, full of zeros.
  ///
  /// - Throws: ``SystemError``. System calls: `memfd_create(2)`, `fcntl(2)`, `F_ADD_SEALS`.
  public static func sealedMemoryFile(
    _ name: String,
    byteCount: Int
  ) throws(SystemError) -> Descriptor {
    let result = unsafe martlet_sealed_memory_file(name, Int64(byteCount))
    return Descriptor(adopting: Int32(try check(result, .memfdCreate)))
  }

  /// Reads `count` bytes from `offset` on, or fewer at the end of the file.
  ///
  /// - Throws: ``SystemError``. System call: `pread(2)`.
  public borrowing func read(upTo count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // Safe: the kernel writes no more than the array holds.
    let result = unsafe bytes.withUnsafeMutableBytes { storage in
      unsafe martlet_read_at(number, storage.baseAddress, storage.count, Int64(offset))
    }
    let received = try check(result, .read)
    bytes.removeLast(count - received)
    return bytes
  }

  /// Writes bytes from `offset` on, and returns how many the file took.
  ///
  /// - Throws: ``SystemError``. System call: `pwrite(2)`.
  public borrowing func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) -> Int {
    // Safe: the array outlives the call, which only reads it.
    let result = unsafe bytes.withUnsafeBytes { storage in
      unsafe martlet_write_at(number, storage.baseAddress, storage.count, Int64(offset))
    }
    return try check(result, .write)
  }

  /// How many bytes of the disk the file takes, which may be fewer than it has.
  ///
  /// - Throws: ``SystemError``. System call: `fstat(2)`.
  public borrowing func allocatedByteCount() throws(SystemError) -> Int {
    try check(martlet_allocated(number), .stat)
  }

  /// Gives the room of a part of the file back to the disk: it reads as zeros from then on.
  ///
  /// - Throws: ``SystemError``, with EOPNOTSUPP on disks that have no such thing. System call: `fallocate(2)`.
  public borrowing func punch(_ range: Range<Int>) throws(SystemError) {
    try check(martlet_punch(number, Int64(range.lowerBound), Int64(range.count)), .fallocate)
  }

  /// Goes to the start of the file.
  ///
  /// - Throws: ``SystemError``. System call: `lseek(2)`.
  public borrowing func rewind() throws(SystemError) {
    try check(martlet_rewind(number), .lseek)
  }

  /// A file without a name, which stays open when the process executes another program.
  ///
  /// - Throws: ``SystemError``. System call: `memfd_create(2)`.
  public static func memoryFile(_ name: String) throws(SystemError) -> Descriptor {
    Descriptor(adopting: Int32(try check(unsafe martlet_memory_file(name), .memfdCreate)))
  }
}
