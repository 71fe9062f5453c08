import Configuration
public import HTTPMessage
public import MartletSystem

/// Why a file was not written or removed.
public enum FileChangeFailure: Error, Hashable, Sendable {
  /// It is not as it was when that was asked for.
  case changed
  /// What is there is no file, or there is no folder to put it in.
  case conflict(String)
  /// The kernel refused.
  case failed(SystemError)

  init(_ error: SystemError) {
    switch error.code {
    case 2, 20, 21, 39: self = .conflict("\(error)")
    case 17: self = .changed
    default: self = .failed(error)
    }
  }
}

/// A file that is being written beside the one that it will replace: all of it, or nothing.
///
/// It has a name of its own that is never served, until it is put in place; a draft that is dropped before is
/// removed. Its calls wait for the disk, so they are not for a loop, but for ``write(_:)``, which fills memory.
public final class FileDraft: Sendable {
  private let folder: Folder
  private let file: Descriptor
  private let temporary: [UInt8]
  private let name: [UInt8]

  /// Begins a file at a path, whose folder must be there.
  ///
  /// - Throws: ``FileChangeFailure``.
  public init(
    _ path: RelativePath,
    by rules: FileRules,
    number: UInt64
  ) throws(FileChangeFailure) {
    do throws(SystemError) {
      let root = try Folder(rules.settings.root)
      let folder = try root.folder(path.parent, links: rules.links)
      let temporary = Array(".martlet-\(String(number, radix: 16)).part".utf8)
      file = try folder.create(temporary, rights: 0o600)
      self.temporary = temporary
      self.folder = folder
      name = Array(path.name)
    } catch {
      throw FileChangeFailure(error)
    }
  }

  deinit {
    // Once it is in place there is no such name any more.
    do throws(SystemError) { try folder.remove(temporary) } catch {}
  }

  /// Writes further bytes.
  ///
  /// - Throws: ``FileChangeFailure``.
  public func write(_ bytes: Span<UInt8>) throws(FileChangeFailure) {
    var sent = 0
    do throws(SystemError) {
      while sent < bytes.count { sent += try file.write(bytes.extracting(sent..<bytes.count)) }
    } catch {
      throw .failed(error)
    }
  }

  /// Puts the file in place, if there still is what was there before; nil: nothing was.
  ///
  /// It is on the disk when this returns, and has the rights of what it replaces.
  ///
  /// - Throws: ``FileChangeFailure``.
  public func finish(replacing before: FileFacts?) throws(FileChangeFailure) {
    do throws(SystemError) {
      try file.setRights(before?.rights ?? 0o644)
      try file.sync()
      if let before {
        guard try folder.facts(of: name, follows: true).isSameVersion(as: before) else {
          throw SystemError(.rename, 17)
        }
        try folder.rename(temporary, to: name)
      } else {
        // A link is made only where there is no file of that name, even if one appears meanwhile.
        try folder.link(temporary, to: name)
        try folder.remove(temporary)
      }
      try folder.open([], links: .never).sync()
    } catch {
      throw FileChangeFailure(error)
    }
  }

  /// Removes the file at a path, if it still is what it was.
  ///
  /// - Throws: ``FileChangeFailure``.
  public static func remove(
    _ path: RelativePath,
    by rules: FileRules,
    being before: FileFacts
  ) throws(FileChangeFailure) {
    do throws(SystemError) {
      let root = try Folder(rules.settings.root)
      let folder = try root.folder(path.parent, links: rules.links)
      let name = Array(path.name)
      guard try folder.facts(of: name, follows: true).isSameVersion(as: before) else {
        throw SystemError(.unlink, 17)
      }
      try folder.remove(name)
      try folder.open([], links: .never).sync()
    } catch {
      throw FileChangeFailure(error)
    }
  }
}

extension RelativePath {
  /// Whether a name is one under which files are kept that are not complete; such are never served.
  public var isUnfinished: Bool {
    bytes.split(separator: 0x2F).contains { Self.isUnfinished($0) }
  }

  static func isUnfinished(_ name: ArraySlice<UInt8>) -> Bool { name.starts(with: unfinished) }

  private static let unfinished = Array(".martlet-".utf8)
}

extension FileFacts {
  fileprivate func isSameVersion(as other: FileFacts) -> Bool {
    device == other.device && number == other.number && byteCount == other.byteCount
      && modifiedNanoseconds == other.modifiedNanoseconds
  }
}
