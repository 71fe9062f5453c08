import Configuration
import Foundation
import HTTPMessage
import StaticFiles
import Testing

/// A folder with uploads, and a time that the test tells.
private final class Place {
  let folder: URL
  let settings: FilesSettings
  private(set) var uploads: UploadStore
  var now: Int64 = 1_700_000_000

  init(_ change: (inout UploadSettings) -> Void = { _ in }) throws {
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("martlet-uploads-\(UInt64.random(in: 0 ..< .max))")
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("sub"),
      withIntermediateDirectories: true
    )
    var settings = FilesSettings(root: folder.path)
    var bounds = UploadSettings()
    change(&bounds)
    settings.uploads = bounds
    self.settings = settings
    uploads = try #require(UploadStore(FileRules(settings)))
  }

  deinit {
    do { try FileManager.default.removeItem(at: folder) } catch { return }
  }

  /// As another process would find it.
  func restart() throws { uploads = try #require(UploadStore(FileRules(settings))) }

  func path(_ name: String) throws -> RelativePath {
    try RelativePath(Array("/\(name)".utf8).span)
  }

  func begin(_ name: String = "sub/a", length: Int64? = nil) throws -> FileUpload {
    try uploads.begin(try path(name), length: length, replacing: nil, at: now)
  }

  func take(_ name: UploadName, _ path: String = "sub/a") throws -> FileUpload {
    try uploads.take(name, of: try self.path(path), at: now)
  }

  func text(_ name: String) -> String? {
    FileManager.default.contents(atPath: folder.appendingPathComponent(name).path)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// What is kept of uploads.
  var kept: [String] {
    do {
      return try FileManager.default.contentsOfDirectory(
        atPath: folder.appendingPathComponent(".martlet-uploads").path
      )
    } catch {
      return []
    }
  }
}

private func append(_ text: String, to upload: FileUpload, length: Int64? = nil) throws {
  let bytes = Array(text.utf8)
  try upload.append(bytes.span, length: length)
}

@Suite("Stores of uploads") struct UploadStoreTests {
  @Test("an upload goes on where it ended, also in another process, and is put in place whole")
  func goesOn() throws {
    let place = try Place()
    let first = try place.begin(length: 11)
    try append("hello ", to: first)
    place.uploads.release(first)
    #expect(place.text("sub/a") == nil)
    try place.restart()
    let second = try place.take(first.name)
    #expect(second.offset == 6 && !second.isComplete && second.record.length == 11)
    try append("world", to: second, length: 11)
    try place.uploads.finish(second, length: 11)
    #expect(place.text("sub/a") == "hello world")
    let third = try place.take(first.name)
    #expect(third.isComplete && third.offset == 11)
    place.uploads.release(third)
    try place.restart()
    #expect(try place.take(first.name).isComplete)
    #expect(place.kept.count == 1)
  }

  @Test("a later request takes an upload over, and the earlier one writes no more")
  func takenOver() throws {
    let place = try Place()
    let first = try place.begin()
    try append("abc", to: first)
    let second = try place.take(first.name)
    #expect(second.offset == 3)
    #expect(throws: UploadFailure.takenOver) { try append("x", to: first) }
    #expect(throws: UploadFailure.takenOver) { try place.uploads.finish(first, length: nil) }
    // What the earlier request does at its end does no harm to the later one.
    place.uploads.release(first)
    try append("def", to: second)
    try place.uploads.finish(second, length: nil)
    #expect(place.text("sub/a") == "abcdef")
  }

  @Test("is found by its name and path alone")
  func found() throws {
    let place = try Place()
    let upload = try place.begin()
    place.uploads.release(upload)
    #expect(throws: UploadFailure.missing) { try place.take(.random()) }
    #expect(throws: UploadFailure.missing) { try place.take(upload.name, "sub/b") }
    place.uploads.cancel(try place.take(upload.name))
    #expect(throws: UploadFailure.missing) { try place.take(upload.name) }
    #expect(place.kept.isEmpty)
  }

  @Test("does not replace what was not there when it began")
  func changed() throws {
    let place = try Place()
    let upload = try place.begin()
    try append("mine", to: upload)
    try Data("theirs".utf8).write(to: place.folder.appendingPathComponent("sub/a"))
    #expect(throws: UploadFailure.file(.changed)) {
      try place.uploads.finish(upload, length: nil)
    }
    #expect(place.text("sub/a") == "theirs" && place.kept.isEmpty)
    let other = try place.begin("b")
    try append("b", to: other)
    try FileManager.default.createDirectory(
      at: place.folder.appendingPathComponent("b"),
      withIntermediateDirectories: true
    )
    #expect(throws: UploadFailure.file(.changed)) { try place.uploads.finish(other, length: nil) }
    #expect(throws: UploadFailure.self) { try place.begin("none/a") }
    #expect(place.kept.isEmpty)
  }

  @Test("is as long as it may be, and as was said")
  func lengths() throws {
    let place = try Place { $0.byteCount = 10 }
    let upload = try place.begin()
    try append("0123456789", to: upload)
    #expect(throws: UploadFailure.tooLarge) { try append("x", to: upload) }
    #expect(throws: UploadFailure.length) { try append("x", to: upload, length: 10) }
    #expect(throws: UploadFailure.length) { try place.uploads.finish(upload, length: 11) }
    #expect(place.kept.isEmpty)
  }

  @Test("has a place for as many as there may be, and those whose time is over go")
  func bounds() throws {
    let place = try Place {
      $0.count = 2
      $0.age = .seconds(600)
    }
    let first = try place.begin("a")
    place.uploads.release(first)
    let second = try place.begin("b")
    #expect(throws: UploadFailure.noPlace) { try place.begin("c") }
    place.now += 599
    #expect(place.uploads.seconds(left: first.record, at: place.now) == 1)
    #expect(throws: UploadFailure.noPlace) { try place.begin("c") }
    place.now += 6
    // The second is in use.
    #expect(place.uploads.sweep(at: place.now) == 1)
    #expect(throws: UploadFailure.missing) { try place.take(first.name, "a") }
    place.uploads.release(second)
    #expect(place.uploads.sweep(at: place.now) == 1)
    #expect(place.kept.isEmpty)
    let third = try place.begin("c")
    #expect(place.uploads.openCounts.count == 1)
    try place.uploads.finish(third, length: 0)
    #expect(place.uploads.openCounts.count == 0 && place.text("c") == "")
    // That it is complete is remembered for an hour.
    place.now = Int64(Date().timeIntervalSince1970) + 3000
    _ = place.uploads.sweep(at: place.now)
    #expect(place.kept.count == 1)
    place.now += 4000
    _ = place.uploads.sweep(at: place.now)
    #expect(place.kept.isEmpty)
  }

  @Test("what is no record, or was left by a process that has ended, does no harm")
  func leftovers() throws {
    let place = try Place()
    let upload = try place.begin()
    place.uploads.release(upload)
    let folder = place.folder.appendingPathComponent(".martlet-uploads")
    try Data("{}".utf8).write(to: folder.appendingPathComponent("\(UploadName.random()).json"))
    try Data("x".utf8).write(to: folder.appendingPathComponent("\(UploadName.random()).part"))
    try Data("x".utf8).write(to: folder.appendingPathComponent("notes.txt"))
    place.now = Int64(Date().timeIntervalSince1970) + 7200
    _ = place.uploads.sweep(at: place.now)
    #expect(place.kept == ["notes.txt"])
  }

  @Test("a process that ends between putting the file in place and noting it leaves it complete")
  func interruptedFinish() throws {
    let place = try Place()
    let upload = try place.begin()
    try append("done", to: upload)
    let folder = place.folder.appendingPathComponent(".martlet-uploads")
    let record = folder.appendingPathComponent("\(upload.name).json")
    var kept = try #require(UploadRecord(text: Array(try Data(contentsOf: record))))
    kept.state = .finishing
    kept.length = 4
    place.uploads.release(upload)
    try Data(kept.text).write(to: record)
    // Before: the bytes are still here.
    let before = try place.take(upload.name)
    #expect(!before.isComplete && before.offset == 4)
    place.uploads.release(before)
    // Between the link and the removal of the first name.
    try FileManager.default.linkItem(
      at: folder.appendingPathComponent("\(upload.name).part"),
      to: place.folder.appendingPathComponent("sub/a")
    )
    let between = try place.take(upload.name)
    try place.uploads.finish(between, length: 4)
    #expect(place.text("sub/a") == "done")
    // Behind both.
    try Data(kept.text).write(to: record)
    let after = try place.take(upload.name)
    #expect(after.isComplete && after.offset == 4)
  }
}
