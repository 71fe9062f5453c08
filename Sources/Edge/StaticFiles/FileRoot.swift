import MartletSystem

/// The folder of a store, open for as long as it is believed to be the one that its path names.
///
/// A root that is exchanged, by a link that is set to another folder, is taken notice of as soon as any of its
/// files is looked at after that.
final class FileRoot {
  private let path: String
  private var folder: SharedFolder?
  private var openedAt: Int64 = 0

  init(_ path: String) { self.path = path }

  /// The folder, opened anew unless that was done within `valid` nanoseconds.
  ///
  /// - Throws: ``MartletSystem/SystemError``.
  func open(at now: Int64, valid: Int64) throws(SystemError) -> SharedFolder {
    if let folder, now < openedAt &+ valid { return folder }
    let opened = SharedFolder(try Folder(path))
    folder = opened
    openedAt = now
    return opened
  }
}

/// An open folder that several look-ups use.
final class SharedFolder {
  let folder: Folder

  init(_ folder: consuming Folder) { self.folder = folder }
}
