import MartletSystem

/// Locks as files of a folder, for the processes of one machine, or of those that share the folder and its locks.
///
/// They end with the process that has them, be it killed, and not with a lease. Each file holds the last token.
public final class FileLocks: LockService {
  private let folder: String
  private var held: [String: (file: OpenFile, token: UInt64)] = [:]

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
      let file = OpenFile(try Descriptor.openShared(path))
      guard try file.descriptor.lock() else { return nil }
      let text = try file.descriptor.read(upTo: 32, at: 0)
      let last = UInt64(String(decoding: text.prefix { $0 != 0x0A }, as: UTF8.self)) ?? 0
      // On the disk before anybody sees it: it is never given twice.
      try file.descriptor.replaceContent(by: Array("\(last + 1)\n".utf8))
      try file.descriptor.sync()
      held[name] = (file, last + 1)
      return last + 1
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
    held.removeValue(forKey: name)?.file.descriptor.unlock()
  }
}
