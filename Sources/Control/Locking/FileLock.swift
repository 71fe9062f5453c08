public import MartletSystem

/// A lock that is a file: of all processes that see it, on one machine or on several that share the folder and its
/// locks, one has it, until it releases it or ends.
public final class FileLock: Sendable {
  /// Larger than those of all who had it before; the file holds the last one.
  public let token: UInt64
  private let file: OpenFile

  private init(_ file: OpenFile, token: UInt64) {
    self.file = file
    self.token = token
  }

  /// Takes the lock if nobody has it; the file is made if it is not there.
  ///
  /// - Throws: ``MartletSystem/SystemError``.
  public static func tryTake(_ path: String) throws(SystemError) -> FileLock? {
    let file = OpenFile(try Descriptor.openShared(path))
    guard try file.descriptor.lock() else { return nil }
    let text = try file.descriptor.read(upTo: 32, at: 0)
    let last = UInt64(String(decoding: text.prefix { $0 != 0x0A }, as: UTF8.self)) ?? 0
    // On the disk before anybody sees it: it is never given twice.
    try file.descriptor.replaceContent(by: Array("\(last + 1)\n".utf8))
    try file.descriptor.sync()
    return FileLock(file, token: last + 1)
  }

  /// Gives it back, whoever else has the descriptor.
  public func release() { file.descriptor.unlock() }
}
