import MartletSystem
import Synchronization

/// Why an upload does not go on.
public enum UploadFailure: Error, Hashable, Sendable {
  /// There is none of that name for that path.
  case missing
  /// Another process is at it.
  case busy
  /// There are as many as there may be, or none can be kept for that file.
  case noPlace
  /// A later request has taken it over.
  case takenOver
  /// It is longer than it may be.
  case tooLarge
  /// It is longer, or shorter, than was said.
  case length
  /// It has another digest than was said.
  case digest
  /// The file cannot be put in place, or its bytes cannot be kept.
  case file(FileChangeFailure)

  init(_ error: SystemError) { self = .file(FileChangeFailure(error)) }
}

/// An upload while one request is at it: the bytes that have come, in a file that grows.
///
/// A later request takes it over, and what the earlier one still receives is not written any more: so an offset
/// that was told stays true until who has asked for it goes on. The kernel holds other processes off, as long
/// as the file is open.
public final class FileUpload: Sendable {
  private struct State {
    var record: UploadRecord
    var offset: Int64
    /// The bytes that are known to be on the disk.
    var syncedOffset: Int64
    /// Whether its request may write to it.
    var isOpen = true
    /// Whether its file is being put in place.
    var isFinishing = false
  }

  /// Its name.
  public let name: UploadName
  /// What is known of it beside its bytes.
  public var record: UploadRecord { state.withLock { $0.record } }
  /// The most bytes that it may have.
  private let limit: Int64
  /// Its bytes; nil once they are in place.
  private let file: OpenFile?
  private let state: Mutex<State>

  init(
    _ name: UploadName,
    _ record: UploadRecord,
    file: OpenFile?,
    offset: Int64,
    isSynced: Bool,
    limit: Int64
  ) {
    self.name = name
    self.file = file
    self.limit = limit
    state = Mutex(State(record: record, offset: offset, syncedOffset: isSynced ? offset : -1))
  }

  /// How many bytes have come.
  public var offset: Int64 { state.withLock { $0.offset } }

  /// Whether its file is being put in place, so that nobody may take it over.
  var isFinishing: Bool { state.withLock { $0.isFinishing } }

  /// Whether its file is in place.
  public var isComplete: Bool { file == nil }

  /// The record, which now says how long the whole is.
  func noted(_ length: Int64) -> UploadRecord {
    state.withLock { state in
      state.record.length = length
      return state.record
    }
  }

  /// Writes further bytes, to memory that the kernel writes to the disk.
  ///
  /// `length` is how many the whole has; nil: nobody has said.
  ///
  /// - Throws: ``UploadFailure``.
  public func append(_ bytes: Span<UInt8>, length: Int64?) throws(UploadFailure) {
    try state.withLock { state throws(UploadFailure) in
      guard state.isOpen, let file else { throw .takenOver }
      let end = state.offset + Int64(bytes.count)
      if let length, end > length { throw .length }
      guard end <= limit else { throw .tooLarge }
      do throws(SystemError) {
        var sent = 0
        while sent < bytes.count {
          let count = try file.descriptor.write(bytes.extracting(sent..<bytes.count))
          sent += count
          state.offset += Int64(count)
        }
      } catch {
        throw UploadFailure(error)
      }
    }
  }

  /// Forgets what has come behind an offset.
  ///
  /// - Throws: ``UploadFailure``.
  public func shorten(to offset: Int64) throws(UploadFailure) {
    try state.withLock { state throws(UploadFailure) in
      guard state.isOpen, let file else { throw .takenOver }
      guard offset < state.offset else { return }
      do throws(SystemError) { try file.descriptor.shorten(to: offset) } catch {
        throw UploadFailure(error)
      }
      state.offset = offset
      state.syncedOffset = min(state.syncedOffset, offset)
    }
  }

  /// Has what has come written to the disk, so that it may be promised; it waits for the disk.
  ///
  /// - Throws: ``UploadFailure``.
  public func sync() throws(UploadFailure) {
    let (offset, synced) = state.withLock { ($0.offset, $0.syncedOffset) }
    guard let file, synced < offset else { return }
    do throws(SystemError) { try file.descriptor.sync() } catch { throw UploadFailure(error) }
    state.withLock { $0.syncedOffset = max($0.syncedOffset, offset) }
  }

  /// Ends the writing of its request.
  ///
  /// - Returns: The file, where there still is one.
  func close() -> OpenFile? {
    state.withLock { state in
      state.isOpen = false
      return file
    }
  }

  /// Ends the writing of its request, if it still may write.
  func closeOnce() throws(UploadFailure) -> (file: OpenFile, offset: Int64) {
    try state.withLock { state throws(UploadFailure) -> (file: OpenFile, offset: Int64) in
      guard state.isOpen, let file else { throw .takenOver }
      state.isOpen = false
      state.isFinishing = true
      return (file, state.offset)
    }
  }
}
