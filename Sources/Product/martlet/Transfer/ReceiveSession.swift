import JSON
import MartletBytes
import MartletLoop
import MartletNet
import MartletSync
import MartletSystem
import TLS

/// What a receiver's loops share.
final class Receiver: Sendable {
  struct Tally: Sendable {
    var fileCount = 0
    var byteCount = 0
    var refusedCount = 0
    var presentCount = 0
  }

  private struct State: Sendable {
    var tally = Tally()
    /// How many connections each sender has.
    var connections: [String: Int] = [:]
    /// Those that have said that they are done.
    var doneSessions: Set<String> = []
  }

  /// The most connections at a time.
  static let connectionLimit = 256

  let folder: ReceiveFolder
  let context: TLSContext?
  let token: [UInt8]?
  /// Digests of what is there already are made on these threads.
  let threads: BlockingPool
  private let tell: @Sendable (TransferFile, [UInt8]) -> Void
  private let endsWithSender: Bool
  private let state = Locked(State())
  /// Set when a sender is done, if the receiver ends with it.
  let isOver = Event()

  init(
    into folder: ReceiveFolder,
    context: TLSContext?,
    token: [UInt8]?,
    endsWithSender: Bool,
    telling tell: @escaping @Sendable (TransferFile, [UInt8]) -> Void
  ) throws(SystemError) {
    self.folder = folder
    self.context = context
    self.token = token
    self.endsWithSender = endsWithSender
    self.tell = tell
    threads = try BlockingPool(threadLimit: 4, queueLimit: 1024)
  }

  var tally: Tally { state.withLock { $0.tally } }

  /// Counts a connection of a sender; false: there are too many.
  func begin(_ session: String) -> Bool {
    state.withLock { state in
      let count = state.connections.values.reduce(0, +)
      guard count < Self.connectionLimit else { return false }
      state.connections[session, default: 0] += 1
      return true
    }
  }

  func end(_ session: String) {
    let (isLast, isDone) = state.withLock { state in
      state.connections[session, default: 1] -= 1
      guard state.connections[session] == 0 else { return (false, false) }
      state.connections[session] = nil
      return (true, state.doneSessions.remove(session) != nil)
    }
    guard isLast else { return }
    folder.end(session: session)
    if isDone, endsWithSender { isOver.set() }
  }

  func note(doneSession session: String) {
    state.withLock { _ = $0.doneSessions.insert(session) }
  }

  func noteRefusal() { state.withLock { $0.tally.refusedCount += 1 } }

  func notePresent() { state.withLock { $0.tally.presentCount += 1 } }

  func note(_ file: TransferFile, digest: [UInt8]) {
    state.withLock { state in
      state.tally.fileCount += 1
      state.tally.byteCount += file.byteCount
    }
    tell(file, digest)
  }
}

/// One connection of a sender.
final class ReceiveSession {
  private struct Over: Error {}

  private static let patience = Timeout(.seconds(60))
  static let version = 1

  private let loop: EventLoop
  private let receiver: Receiver
  private let messages: HeadedStream
  private var session: String?
  /// How the sender says that blocks are verified; who says nothing uses SHA-256.
  private var verification = BlockVerification.sha256
  /// How often something was refused: who does nothing else is cut off.
  private var refusalCount = 0

  init(_ receiver: Receiver, _ stream: Stream, on loop: EventLoop) {
    self.receiver = receiver
    self.loop = loop
    messages = HeadedStream(stream, headLimit: 32 << 10, bodyLimit: TransferFile.blockBytes)
  }

  private var deadline: Deadline { loop.deadline(after: Self.patience) }

  /// Takes what comes until the other side ends.
  ///
  /// - Throws: What has ended it otherwise.
  func run() async throws {
    defer { if let session { receiver.end(session) } }
    while let message = try await messages.next(by: deadline) {
      do {
        try await take(message)
        continue
      } catch let problem as TransferProblem {
        try await refuse(problem)
      } catch let error as SystemError {
        try await refuse(TransferProblem("\(error)"))
      }
      guard session != nil, refusalCount < 10_000 else { return }
    }
  }

  private func refuse(_ problem: TransferProblem) async throws {
    refusalCount += 1
    if !problem.mayBeTriedAgain { receiver.noteRefusal() }
    try await messages.send(
      .object([
        "ok": .flag(false), "problem": .text(problem.description),
        "again": .flag(problem.mayBeTriedAgain),
      ]),
      by: deadline
    )
  }

  private func agree(
    _ more: KeyValuePairs<String, JSONValue> = [:],
    body: [UInt8] = []
  ) async throws {
    let members = more.map { JSONValue.Member($0.key, $0.value) }
    try await messages.send(.object([.init("ok", .flag(true))] + members), body: body, by: deadline)
  }

  private func take(_ message: HeadedStream.Message) async throws {
    let kind = message.head["do"]?.text
    guard let session else {
      guard kind == "hello" else { throw TransferProblem("who sends says hello first") }
      return try await greet(message.head)
    }
    switch kind {
    case "folder":
      guard let name = message.head["name"]?.text, let rights = message.head["mode"]?.number
      else { throw TransferProblem("a folder has a name and a mode") }
      try receiver.folder.makeFolder(name, rights: UInt32(rights & 0o777))
      try await agree()
    case "offer": try await offer(try TransferFile(message.head), session)
    case "block": try await block(message, session)
    case "finish": try await finish(message.head, session)
    case "bye":
      receiver.note(doneSession: session)
      try await agree()
    default: throw TransferProblem("nothing of that kind is known here")
    }
  }

  private func greet(_ head: JSONValue) async throws {
    guard head["version"]?.number == Self.version else {
      throw TransferProblem("version \(Self.version) is spoken here")
    }
    guard let name = head["session"]?.text, (1...64).contains(name.utf8.count) else {
      throw TransferProblem("who sends has a name of 1 to 64 bytes")
    }
    if let token = receiver.token, !Self.isSame(token, Array((head["token"]?.text ?? "").utf8)) {
      throw TransferProblem("the token is another one")
    }
    if let text = head["digest"]?.text {
      guard let known = BlockVerification(rawValue: text) else {
        let names = BlockVerification.allCases.map(\.rawValue).joined(separator: ", ")
        throw TransferProblem("digests are \(names)")
      }
      verification = known
    }
    guard receiver.begin(name) else {
      throw TransferProblem("there are too many connections", mayBeTriedAgain: true)
    }
    session = name
    try await agree()
  }

  /// Compares two texts in a time that does not tell where they differ.
  private static func isSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    guard one.count == other.count else { return false }
    return zip(one, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }

  private func offer(_ file: TransferFile, _ session: String) async throws {
    let (folder, verification) = (receiver.folder, verification)
    // What is there already is read again, which takes its time.
    let standing = try await receiver.threads.run(on: loop) {
      Result { try folder.begin(file, verification, session: session) }
    }.get()
    switch standing {
    case .whole:
      receiver.notePresent()
      try await agree(["is": .text("whole")])
    case .open(let received): try await agree(["is": .text("open")], body: received.blocks.bytes)
    }
  }

  private func block(_ message: HeadedStream.Message, _ session: String) async throws {
    let file = try TransferFile(message.head)
    guard let received = try receiver.folder.find(file, session: session) else {
      throw TransferProblem("\(file.name) was not offered")
    }
    guard let block = message.head["block"]?.number, 0..<file.blockCount ~= block,
      message.bodyBytes == file.range(of: block).count,
      let told = TransferDigest.bytes(
        message.head["digest"]?.text,
        count: verification.byteCount
      )
    else { throw TransferProblem("a block has a number, a digest and its bytes") }
    let digest = try BlockDigest(verification, of: file, block: block)
    var offset = file.range(of: block).lowerBound
    var failure: SystemError?
    while try await messages.part(
      by: deadline,
      { bytes in
        digest.add(bytes)
        if failure == nil {
          do throws(SystemError) { try received.write(bytes, at: offset) } catch { failure = error }
        }
        offset += bytes.count
      }
    ) {}
    if let failure { throw failure }
    guard digest.finish() == told else {
      throw TransferProblem("block \(block) of \(file.name) came otherwise", mayBeTriedAgain: true)
    }
    try received.note(block, digest: told)
    try await agree()
  }

  private func finish(_ head: JSONValue, _ session: String) async throws {
    let file = try TransferFile(head)
    guard let received = try receiver.folder.find(file, session: session),
      let digest = TransferDigest.bytes(head["digest"]?.text)
    else { throw TransferProblem("\(file.name) was not offered, or its digest is missing") }
    let folder = receiver.folder
    try await receiver.threads.run(on: loop) {
      Result { try folder.finish(received, digest: digest) }
    }.get()
    receiver.note(file, digest: digest)
    try await agree()
  }
}
