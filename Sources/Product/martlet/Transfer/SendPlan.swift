import MartletQueues
import MartletSync
import MartletSystem
import Supervision
import Synchronization

/// A file or a folder that is to be sent.
struct SendItem: Sendable {
  /// Where it is.
  var path: String
  /// Its name where it goes to.
  var name: String
  var isFolder: Bool
  var rights: UInt32
}

/// What the connections of a sender share: what is to be sent, and how far that is.
final class SendPlan: Sendable {
  enum Work: Sendable {
    case item(SendItem)
    /// Blocks of a file that another connection has begun.
    case help(SentFile)
  }

  struct Tally: Sendable {
    var fileCount = 0
    var byteCount = 0
    /// Bytes of files that were there, or blocks that were.
    var presentBytes = 0
    var presentCount = 0
    var problems: [String] = []
    var problemCount = 0
    /// How many links and the like were passed over.
    var skippedCount = 0
    /// How many bytes were found, of which more may come while ``isFound`` is false.
    var foundBytes = 0
    var isFound = false
  }

  /// The most names in a folder.
  private static let nameLimit = 1 << 22
  private static let keptProblems = 100

  let connectionCount: Int
  private let queue = Queue<Work>(capacity: 1024)
  private let state = Locked(Tally())
  /// What was put in and is not done, and the search for more.
  private let openCount = Atomic<Int>(1)
  private let failure = Locked<String?>(nil)
  private let tell: @Sendable (TransferFile, [UInt8]) -> Void

  init(connectionCount: Int, telling tell: @escaping @Sendable (TransferFile, [UInt8]) -> Void) {
    self.connectionCount = connectionCount
    self.tell = tell
  }

  var tally: Tally { state.withLock { $0 } }

  /// Why nothing more can be sent.
  var problem: String? { failure.withLock { $0 } }

  /// The next piece of work; nil when there is none, and none will be.
  func next() async -> Work? { await queue.next() }

  /// Ends everything.
  func fail(_ text: String) {
    failure.withLock { $0 = $0 ?? text }
    queue.close()
  }

  /// Says that a file or folder is done, whatever became of it.
  func close() {
    guard openCount.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
    queue.close()
  }

  /// Asks other connections to help with a file, if they have nothing else to do.
  func callHelp(with file: SentFile, _ count: Int) {
    for _ in 0..<min(count, connectionCount - 1) {
      guard queue.tryPut(.help(file)) else { return }
    }
  }

  func note(_ problem: String) {
    state.withLock { tally in
      tally.problemCount += 1
      if tally.problems.count < Self.keptProblems { tally.problems.append(problem) }
    }
  }

  func note(sentBytes count: Int) { state.withLock { $0.byteCount += count } }

  func note(presentBytes count: Int) { state.withLock { $0.presentBytes += count } }

  func note(present file: TransferFile) {
    state.withLock { tally in
      tally.presentCount += 1
      tally.presentBytes += file.byteCount
    }
  }

  func note(_ file: TransferFile, digest: [UInt8]) {
    state.withLock { $0.fileCount += 1 }
    tell(file, digest)
  }

  // MARK: What there is

  /// Looks for what these paths lead to, on a thread of its own, no further ahead than the queue is long.
  func start(_ paths: [(path: String, name: String)]) throws(SystemError) {
    try Thread.start {
      for (path, name) in paths { self.find(path, name, depth: 0) }
      self.state.withLock { $0.isFound = true }
      self.close()
    }
  }

  private func find(_ path: String, _ name: String, depth: Int) {
    do {
      // What a command line names may be a link; what is below a folder is taken as it is.
      let folder = try Folder(Self.parent(of: path))
      let last = Self.last(of: path)
      let facts = try folder.facts(of: last, follows: depth == 0)
      switch facts.kind {
      case .folder:
        try put(SendItem(path: path, name: name, isFolder: true, rights: facts.rights))
        let opened = try folder.open(last, links: depth == 0 ? .all : .never)
        let names = try opened.names(limit: Self.nameLimit)
        for entry in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
          guard let text = String(validating: entry, as: UTF8.self) else {
            note("\(path): a name in it is not UTF-8, and was passed over")
            continue
          }
          find("\(path)/\(text)", "\(name)/\(text)", depth: depth + 1)
        }
      case .regular:
        state.withLock { $0.foundBytes += Int(facts.byteCount) }
        try put(SendItem(path: path, name: name, isFolder: false, rights: facts.rights))
      // A link would lead somewhere else there; a pipe or a device has no end.
      case .link, .other: state.withLock { $0.skippedCount += 1 }
      }
    } catch is QueueFailure {
      // Nothing more can be sent; that was said.
    } catch {
      note("\(path): \(error)")
    }
  }

  private func put(_ item: SendItem) throws {
    _ = try TransferFile.parts(of: item.name)
    openCount.add(1, ordering: .relaxed)
    try queue.put(.item(item))
  }

  /// Opens a file that was found.
  static func open(_ path: String) throws(SystemError) -> Descriptor {
    try Folder(parent(of: path)).open(last(of: path), links: .all)
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func last(of path: String) -> [UInt8] {
    path.utf8.split(separator: 0x2F).last.map(Array.init) ?? []
  }
}

/// A file while it is sent, by one connection or several.
final class SentFile: Sendable {
  private struct State: Sendable {
    /// The next block that nobody has taken.
    var next = 0
    /// Blocks that were taken, and are to be sent once more.
    var returned: [Int] = []
    var digests: [[UInt8]?]
    /// How many blocks are not acknowledged.
    var left: Int
    var isOver = false
  }

  let file: TransferFile
  let content: OpenFile
  /// What the file was when it was opened.
  private let facts: FileFacts
  private let present: BlockSet
  private let change = Event()
  private let state: Locked<State>

  init(_ file: TransferFile, _ content: OpenFile, _ facts: FileFacts, present: BlockSet) {
    self.file = file
    self.content = content
    self.facts = facts
    self.present = present
    state = Locked(
      State(digests: Array(repeating: nil, count: file.blockCount), left: file.blockCount)
    )
  }

  /// Whether nothing more is to be done with it.
  var isOver: Bool { state.withLock { $0.isOver } }

  /// How many blocks nobody has taken.
  var waitingCount: Int {
    state.withLock { $0.isOver ? 0 : file.blockCount - $0.next + $0.returned.count }
  }

  func isPresent(_ block: Int) -> Bool { present.contains(block) }

  /// A block that nobody has taken; nil: there is none now.
  func take() -> Int? {
    state.withLock { state in
      guard !state.isOver else { return nil }
      if let block = state.returned.popLast() { return block }
      guard state.next < file.blockCount else { return nil }
      state.next += 1
      return state.next - 1
    }
  }

  func giveBack(_ blocks: [Int]) {
    state.withLock { $0.returned += blocks }
    change.set()
  }

  /// Notes that a block is there.
  func note(_ block: Int, digest: [UInt8]) {
    let isLast = state.withLock { state in
      guard state.digests[block] == nil else { return false }
      state.digests[block] = digest
      state.left -= 1
      return state.left == 0
    }
    if isLast { change.set() }
  }

  /// How many blocks are not there.
  var leftCount: Int { state.withLock { $0.left } }

  /// Waits until all blocks are there, or some were given back, but not longer than `limit`.
  func changed(within limit: Duration) async {
    do throws(WaitFailure) { try await change.wait(within: limit) } catch {}
    change.clear()
  }

  /// Keeps everybody from taking more of it.
  func end() { state.withLock { $0.isOver = true } }

  /// The digests of all blocks.
  var digests: [[UInt8]] { state.withLock { $0.digests.compactMap { $0 } } }

  /// Whether the file is still what it was when it was opened.
  var isUnchanged: Bool {
    do throws(SystemError) {
      return try content.descriptor.facts() == facts
    } catch {
      return false
    }
  }
}
