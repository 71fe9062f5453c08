// Invariant of this file: a path that is given to the kernel ends in NUL and outlives the call; the shims write
// one structure, or no more than the memory that they are given.

import CLinux

/// What is known of a file without reading it.
public struct FileFacts: Hashable, Sendable {
  /// What kind of file it is.
  public enum Kind: Hashable, Sendable {
    /// Bytes on a disk.
    case regular
    /// A folder.
    case folder
    /// A symbolic link, where links are not followed.
    case link
    /// A device, a pipe, a socket.
    case other
  }

  /// The number of the device, and that of the file on it.
  public var device: UInt64
  /// The number of the file on its device.
  public var number: UInt64
  /// What kind of file it is.
  public var kind: Kind
  /// How many bytes it has.
  public var byteCount: Int64
  /// When its content was changed, in nanoseconds since 1970.
  public var modifiedNanoseconds: Int64
  /// When anything about it was changed, in nanoseconds since 1970.
  public var changedNanoseconds: Int64
  /// The number of its owner.
  public var user: UInt32
  /// Its rights, as `chmod(1)` writes them in octal.
  public var rights: UInt32

  init(_ facts: martlet_file_facts) {
    device = facts.device
    number = facts.number
    kind =
      switch facts.mode & martlet_kind_mask {
      case martlet_kind_regular: .regular
      case martlet_kind_directory: .folder
      case martlet_kind_link: .link
      default: .other
      }
    byteCount = facts.size
    modifiedNanoseconds = facts.modified_ns
    changedNanoseconds = facts.changed_ns
    user = facts.user
    rights = facts.mode & 0o7777
  }
}

/// Which symbolic links a path below a folder may go through.
public enum LinkRule: String, Hashable, Sendable, CaseIterable {
  /// None.
  case never
  /// Relative ones that stay below the folder.
  case inside
  /// Any, if each belongs to the owner of what it points to.
  case owner
  /// Any.
  case all

  /// What the kernel is told.
  var resolution: UInt64 {
    switch self {
    case .never:
      martlet_resolve_beneath | martlet_resolve_no_links | martlet_resolve_no_magic_links
    case .inside: martlet_resolve_beneath | martlet_resolve_no_magic_links
    case .owner, .all: martlet_resolve_no_magic_links
    }
  }
}

/// A folder, below which files are found by paths that cannot leave it.
///
/// Paths are bytes without a slash in front; an empty one is the folder itself. None may hold NUL.
public struct Folder: ~Copyable, Sendable {
  private let descriptor: Descriptor

  /// Opens a folder by its path, whatever that leads through.
  ///
  /// - Throws: ``SystemError``. System call: `open(2)`, `O_PATH`.
  public init(_ path: String) throws(SystemError) {
    descriptor = Descriptor(adopting: Int32(try check(unsafe martlet_open_folder(path), .open)))
  }

  private init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

  /// Opens a file or a folder to be read; it does not wait for anybody at the other end of a pipe.
  ///
  /// - Throws: ``SystemError``: with code 18 (EXDEV) or 40 (ELOOP) when the path goes through a link that
  ///   `links` does not allow. System call: `openat2(2)`.
  public borrowing func open(
    _ path: [UInt8],
    links: LinkRule
  ) throws(SystemError) -> Descriptor {
    if links == .owner { try checkOwners(path) }
    return Descriptor(
      adopting: try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, links.resolution)
    )
  }

  /// The folder below this one that a path names.
  ///
  /// - Throws: ``SystemError``. System call: `openat2(2)`, `O_PATH`.
  public borrowing func folder(
    _ path: [UInt8],
    links: LinkRule
  ) throws(SystemError) -> Folder {
    if links == .owner { try checkOwners(path) }
    // O_PATH, which this view of the headers does not have.
    return Folder(
      Descriptor(adopting: try open(path, 0o10000000 | O_DIRECTORY, links.resolution))
    )
  }

  /// What is known of a file; of a link itself unless `follows`.
  ///
  /// - Throws: ``SystemError``. System call: `fstatat(2)`.
  public borrowing func facts(
    of path: [UInt8],
    follows: Bool
  ) throws(SystemError) -> FileFacts {
    var facts = martlet_file_facts()
    let number = descriptor.number
    // Safe: the shim writes one structure, and the path ends in NUL.
    let result = unsafe Self.withPath(path) { path in
      unsafe martlet_facts_at(number, path, follows ? 1 : 0, &facts)
    }
    try check(result, .stat)
    return FileFacts(facts)
  }

  private borrowing func open(
    _ path: [UInt8],
    _ flags: Int32,
    _ resolution: UInt64,
    mode: UInt32 = 0
  ) throws(SystemError) -> Int32 {
    let number = descriptor.number
    // Safe: the path ends in NUL and outlives the call.
    let result = unsafe Self.withPath(path) { path in
      unsafe martlet_open_at(number, path, flags, mode, resolution)
    }
    return Int32(try check(result, .open))
  }

  /// Sees to it that every link on the way belongs to the owner of what it points to.
  private borrowing func checkOwners(_ path: [UInt8]) throws(SystemError) {
    var end = 0
    while end < path.count {
      end = path[(end + 1)...].firstIndex(of: 0x2F) ?? path.count
      let part = Array(path[..<end])
      let link = try facts(of: part, follows: false)
      guard link.kind == .link else { continue }
      let target = try facts(of: part, follows: true)
      guard link.user == target.user else { throw SystemError(.open, ELOOP) }
    }
  }

  private static func withPath(
    _ path: [UInt8],
    _ body: (UnsafePointer<CChar>) -> Int64
  ) -> Int64 {
    guard !path.isEmpty else { return unsafe ".".withCString { unsafe body($0) } }
    // A NUL within would end the path early.
    guard !path.contains(0) else { return -Int64(EINVAL) }
    var text = path.map { CChar(bitPattern: $0) }
    text.append(0)
    return unsafe text.withUnsafeBufferPointer { storage in
      guard let start = storage.baseAddress else { return -Int64(EINVAL) }
      return unsafe body(start)
    }
  }
}

extension Folder {
  /// Makes a file to be written, which must not be there.
  ///
  /// - Throws: ``SystemError``: with code 17 (EEXIST) when something of that name is there. System call:
  ///   `openat2(2)`, `O_EXCL`.
  public borrowing func create(
    _ name: [UInt8],
    rights: UInt32
  ) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: try open(
        name,
        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
        LinkRule.never.resolution,
        mode: rights
      )
    )
  }

  /// Opens a file of this folder to be read and written, made with these rights if it is not there.
  ///
  /// - Throws: ``SystemError``. System call: `openat2(2)`.
  public borrowing func openShared(
    _ name: [UInt8],
    rights: UInt32
  ) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: try open(
        name,
        O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK,
        LinkRule.never.resolution,
        mode: rights
      )
    )
  }

  /// Opens a file of this folder to be written at its end; it must be there.
  ///
  /// - Throws: ``SystemError``. System call: `openat2(2)`, `O_APPEND`.
  public borrowing func append(to name: [UInt8]) throws(SystemError) -> Descriptor {
    Descriptor(
      adopting: try open(name, O_WRONLY | O_APPEND | O_NOFOLLOW, LinkRule.never.resolution)
    )
  }

  /// Makes a folder in this one.
  ///
  /// - Returns: Whether it was made; false when something of that name was there.
  /// - Throws: ``SystemError``. System call: `mkdirat(2)`.
  public borrowing func makeFolder(_ name: [UInt8], rights: UInt32) throws(SystemError) -> Bool {
    let number = descriptor.number
    // Safe: the path ends in NUL and outlives the call.
    let result = unsafe Self.withPath(name) { unsafe martlet_mkdir_at(number, $0, rights) }
    if result == -Int64(EEXIST) { return false }
    try check(result, .mkdir)
    return true
  }

  /// Puts a file of this folder in the place of another one, or of none.
  ///
  /// - Throws: ``SystemError``. System call: `renameat(2)`.
  public borrowing func rename(_ old: [UInt8], to new: [UInt8]) throws(SystemError) {
    try rename(old, to: new, in: self)
  }

  /// Puts a file of this folder in the place of one of another folder, or of none.
  ///
  /// - Throws: ``SystemError``: with code 18 (EXDEV) when that is on another file system. System call:
  ///   `renameat(2)`.
  public borrowing func rename(
    _ old: [UInt8],
    to new: [UInt8],
    in folder: borrowing Folder
  ) throws(SystemError) {
    let (from, to) = (descriptor.number, folder.descriptor.number)
    // Safe: both paths end in NUL and outlive the call.
    let result = unsafe Self.withPaths(old, new) { old, new in
      unsafe martlet_rename_at(from, old, to, new)
    }
    try check(result, .rename)
  }

  /// Gives a file of this folder a further name.
  ///
  /// - Throws: ``SystemError``: with code 17 (EEXIST) when there is one of that name. System call:
  ///   `linkat(2)`.
  public borrowing func link(_ old: [UInt8], to new: [UInt8]) throws(SystemError) {
    try link(old, to: new, in: self)
  }

  /// Gives a file of this folder a further name, in another folder.
  ///
  /// - Throws: ``SystemError``: with code 17 (EEXIST) when there is one of that name. System call:
  ///   `linkat(2)`.
  public borrowing func link(
    _ old: [UInt8],
    to new: [UInt8],
    in folder: borrowing Folder
  ) throws(SystemError) {
    let (from, to) = (descriptor.number, folder.descriptor.number)
    // Safe: both paths end in NUL and outlive the call.
    let result = unsafe Self.withPaths(old, new) { old, new in
      unsafe martlet_link_at(from, old, to, new)
    }
    try check(result, .link)
  }

  private static func withPaths(
    _ first: [UInt8],
    _ second: [UInt8],
    _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int64
  ) -> Int64 {
    unsafe withPath(first) { first in
      unsafe withPath(second) { second in unsafe body(first, second) }
    }
  }

  /// Removes a name of this folder.
  ///
  /// - Throws: ``SystemError``. System call: `unlinkat(2)`.
  public borrowing func remove(_ name: [UInt8]) throws(SystemError) {
    let number = descriptor.number
    // Safe: the path ends in NUL and outlives the call.
    let result = unsafe Self.withPath(name) { unsafe martlet_unlink_at(number, $0) }
    try check(result, .unlink)
  }
}

extension Descriptor {
  /// Reads into `bytes` from `offset` on, and returns how many came; 0 at the end.
  ///
  /// - Throws: ``SystemError``. System call: `pread(2)`.
  public borrowing func read(
    into bytes: UnsafeMutableRawBufferPointer,
    at offset: Int64
  ) throws(SystemError) -> Int {
    // Safe: the caller owns `bytes` for this call.
    try check(unsafe martlet_read_at(number, bytes.baseAddress, bytes.count, offset), .read)
  }

  /// What is known of the open file.
  ///
  /// - Throws: ``SystemError``. System call: `fstat(2)`.
  public borrowing func facts() throws(SystemError) -> FileFacts {
    var facts = martlet_file_facts()
    // Safe: the shim writes one structure.
    try check(unsafe martlet_facts_of_file(number, &facts), .fstat)
    return FileFacts(facts)
  }

  /// The names in the open folder, without `.` and `..`, at most `limit`.
  ///
  /// - Throws: ``SystemError`` when it is no folder. Library call: `readdir(3)`.
  public consuming func names(limit: Int) throws(SystemError) -> [[UInt8]] {
    guard let directory = unsafe martlet_read_directory(release()) else {
      throw SystemError(.opendir, ENOTDIR)
    }
    // Safe: the directory is closed after the last name, and each name is copied at once.
    defer { unsafe martlet_close_directory(directory) }
    var names: [[UInt8]] = []
    while names.count < limit, let name = unsafe martlet_next_name(directory) {
      let bytes = unsafe Array(UnsafeBufferPointer(start: name, count: strlen(name))).map {
        UInt8(bitPattern: $0)
      }
      if bytes != [0x2E], bytes != [0x2E, 0x2E] { names.append(bytes) }
    }
    return names
  }

  /// Writes bytes from `offset` on, and returns how many the file took.
  ///
  /// - Throws: ``SystemError``. System call: `pwrite(2)`.
  public borrowing func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) -> Int {
    // Safe: the span outlives the call, which only reads it.
    let result = unsafe bytes.withUnsafeBytes { storage in
      unsafe martlet_write_at(number, storage.baseAddress, storage.count, Int64(offset))
    }
    return try check(result, .write)
  }

  /// Sets when the content of the open file was changed, in nanoseconds since 1970.
  ///
  /// - Throws: ``SystemError``. System call: `futimens(2)`.
  public borrowing func setModified(_ nanoseconds: Int64) throws(SystemError) {
    try check(martlet_set_modified(number, nanoseconds), .futimens)
  }

  /// Has the file written to its disk.
  ///
  /// - Throws: ``SystemError``. System call: `fsync(2)`.
  public borrowing func sync() throws(SystemError) { try check(martlet_sync(number), .fsync) }

  /// Sets the rights of the open file.
  ///
  /// - Throws: ``SystemError``. System call: `fchmod(2)`.
  public borrowing func setRights(_ rights: UInt32) throws(SystemError) {
    try check(martlet_set_mode(number, rights), .chmod)
  }
}
