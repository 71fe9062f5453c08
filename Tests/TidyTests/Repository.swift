import Foundation

/// The files of a repository, read once.
struct Repository: Sendable {
  struct File: Sendable {
    var path: String
    var byteCount: Int
    /// The text, one line an element; empty for a file that is not text.
    var lines: [String]

    var name: String { String(path.split(separator: "/").last ?? "") }
    var isSwift: Bool { path.hasSuffix(".swift") }

    init(path: String, bytes: [UInt8]) {
      self.path = path
      byteCount = bytes.count
      let text = bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
      lines = text?.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) ?? []
      // The end of the last line is not the start of another.
      if lines.last == "" { lines.removeLast() }
    }
  }

  /// Sorted by path.
  let files: [File]
  /// The Swift files, with comments and literals blanked out beside them.
  let sources: [SwiftSource]

  init(files: [File]) {
    self.files = files.sorted { $0.path < $1.path }
    sources = self.files.filter(\.isSwift).map(SwiftSource.init)
  }

  /// A made-up repository.
  init(_ texts: [String: String]) {
    self.init(files: texts.map { File(path: $0.key, bytes: Array($0.value.utf8)) })
  }

  func file(_ path: String) -> File? { files.first { $0.path == path } }

  func sources(under folders: [String]) -> [SwiftSource] {
    sources.filter { source in folders.contains { source.path.hasPrefix($0) } }
  }

  /// The folder that holds Package.swift.
  static let root = String(#filePath.dropLast("/Tests/TidyTests/Repository.swift".count))

  /// This repository; read once, however many tests look at it.
  static let this = Result { try Repository(folder: root) }

  /// Reads what is under `folder`, but nothing that was built.
  init(folder: String) throws {
    let manager = FileManager.default
    guard let walk = manager.enumerator(atPath: folder) else { throw CocoaError(.fileReadUnknown) }
    var files: [File] = []
    for case let path as String in walk {
      let name = path.split(separator: "/").last ?? ""
      var isFolder: ObjCBool = false
      // Safe: Foundation writes one flag through the pointer, during the call.
      let exists = unsafe manager.fileExists(atPath: folder + "/" + path, isDirectory: &isFolder)
      if isFolder.boolValue && (name == "__pycache__" || name.hasPrefix(".") && name != ".ci") {
        // Built, or some tool's own.
        walk.skipDescendants()
      }
      // In a work tree of its own, `.git` is a file that names the folder of the true one.
      guard exists, !isFolder.boolValue, name != ".git" else { continue }
      let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + path))
      files.append(File(path: path, bytes: Array(data)))
    }
    self.init(files: files)
  }
}
