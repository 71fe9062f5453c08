import MartletSystem

/// Locks as files of a folder, for the processes of one machine, or of those that share the folder and its locks.
///
/// They end with the process that has them, be it killed, and not with a lease. Each file holds the last token.
public final class FileLocks: LockService {
  private let folder: String
  private var held: [String: FileLock] = [:]

  /// Keeps locks in a folder, which is there.
  public init(in folder: String) { self.folder = folder }

  private func path(_ name: String) throws(LockFault) -> String {
    guard !name.isEmpty, name.utf8.count <= 200, !name.utf8.contains(0x2F), name.utf8.first != 0x2E
    else { throw LockFault("\(name) cannot be the name of a file: write 1 to 200 bytes without /") }
    return "\(folder)/\(name).lock"
  }

  /// Takes a lock if nobody has it.
  ///
  /// - Throws: ``LockFault``.
  public func tryTake(_ name: String, lease: Duration) async throws(LockFault) -> UInt64? {
    let path = try path(name)
    if held[name] != nil { return nil }
    do throws(SystemError) {
      guard let lock = try FileLock.tryTake(path) else { return nil }
      held[name] = lock
      return lock.token
    } catch {
      throw LockFault("\(path): \(error)")
    }
  }

  /// Says that it is still wanted.
  public func renew(_ name: String, token: UInt64, lease: Duration) async -> Bool {
    held[name]?.token == token
  }

  /// Gives it back.
  public func release(_ name: String, token: UInt64) async {
    guard held[name]?.token == token else { return }
    held.removeValue(forKey: name)?.release()
  }
}
