import Foundation
import MartletSystem
import Testing

@Suite("Files")
struct FileTests {
  @Test("are locked by one at a time, and free when their owner closes them")
  func lock() throws {
    let path = FileManager.default.temporaryDirectory.path + "/martlet-lock-\(UUID())"
    defer { try? Files.remove(path) }
    var first: Descriptor? = try Descriptor.openShared(path)
    let second = try Descriptor.openShared(path)
    #expect(try first?.lock() == true)
    #expect(try second.lock() == false)
    first = nil
    #expect(try second.lock())
  }

  @Test("hold what replaced their content, and are read up to a limit")
  func content() throws {
    let file = try Descriptor.memoryFile("test")
    try file.replaceContent(by: Array("longer than the second".utf8))
    try file.replaceContent(by: Array("second".utf8))
    #expect(try file.readAll(limit: 6) == Array("second".utf8))
    try file.rewind()
    #expect(throws: SystemError(.read, EFBIG)) { try file.readAll(limit: 5) }
  }

  @Test("tell what they are, and directories are private")
  func directories() throws {
    let path = FileManager.default.temporaryDirectory.path + "/martlet-dir-\(UUID())"
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(try Files.makePrivateDirectory(path))
    #expect(try Files.makePrivateDirectory(path) == false)
    let status = try Files.status(of: path)
    #expect(status.isDirectory && status.rights == 0o700 && status.user == Processes.ownUser)
    #expect(throws: SystemError(.stat, ENOENT)) { try Files.status(of: path + "/none") }
    _ = try Descriptor.openShared(path + "/a")
    #expect(Files.names(in: path) == ["a"])
    #expect(Files.names(in: path + "/none").isEmpty)
  }
}
