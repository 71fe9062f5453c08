import Directives
import Edge
import JSON
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import TLS

/// Where a sender sends to, and as whom.
struct SendTarget: Sendable {
  var address: Address
  /// How to speak TLS; nil: it is not spoken.
  var context: TLSContext?
  /// A name for all connections of this run.
  var session: String
  var token: String?
  var verification: BlockVerification
  /// How often a connection is tried anew before it is given up.
  var tryCount: Int
}

/// One connection of a sender, with a loop of its own.
final class SendWorker {
  /// How many blocks go out before the first of them is acknowledged.
  private static let window = 2
  /// How long half a megabyte may take on its way.
  private static let patience = Timeout(.seconds(60))
  /// How long an answer may take: what is there of a long file is read again before.
  private static let answerPatience = Timeout(.seconds(1800))

  private let loop: EventLoop
  private let target: SendTarget
  private let plan: SendPlan
  private let threads: BlockingPool
  private var messages: HeadedStream?
  /// Tries without success since the last block or file that was acknowledged.
  private var failureCount = 0

  init(on loop: EventLoop, _ target: SendTarget, _ plan: SendPlan) throws(SystemError) {
    self.loop = loop
    self.target = target
    self.plan = plan
    threads = try BlockingPool(threadLimit: 1, queueLimit: 8)
  }

  private var deadline: Deadline { loop.deadline(after: Self.patience) }

  /// Sends until nothing is left.
  func run() async {
    while plan.problem == nil, let work = await plan.next() {
      switch work {
      case .item(let item):
        await again(item.name) { try await self.send(item) }
        plan.close()
      case .help(let file):
        guard !file.isOver, file.waitingCount > 0 else { continue }
        await again(file.file.name) { try await self.help(with: file) }
      }
    }
    await end()
  }

  /// Does something until it is done, over another connection where one has broken.
  private func again(_ name: String, _ body: () async throws -> Void) async {
    var refusalCount = 0
    while plan.problem == nil {
      let text: String
      do {
        try await body()
        failureCount = 0
        return
      } catch let problem as TransferProblem {
        refusalCount += 1
        guard problem.mayBeTriedAgain, refusalCount < target.tryCount else {
          return plan.note("\(name): \(problem)")
        }
        text = problem.description
      } catch let problem as SendFailure {
        return plan.note("\(name): \(problem)")
      } catch {
        text = Self.words(error)
        messages = nil
        failureCount += 1
        guard failureCount < target.tryCount else {
          return plan.fail("\(target.address): \(text)")
        }
      }
      let pause = 100 << min(max(failureCount, refusalCount), 7)
      do throws(WaitError) { try await loop.sleep(for: .milliseconds(pause)) } catch { return }
    }
  }

  private static func words(_ error: any Error) -> String {
    switch error {
    case FramedStreamError.stream(.failed(let error)): "\(error)"
    case FramedStreamError.stream(.timedOut): "nothing was answered in time"
    case FramedStreamError.cut: "the connection breaks off"
    case StreamError.failed(let error): "\(error)"
    case StreamError.timedOut: "no connection in time"
    case TLSHandshakeError.failed(let failure): failure.words
    default: "\(error)"
    }
  }

  /// Says that all is done, so that the receiver need not wait for more.
  private func end() async {
    guard plan.problem == nil else { return }
    do {
      let messages = try await connected()
      try await messages.send(.object(["do": .text("bye")]), by: deadline)
      _ = try await answer(messages)
    } catch {
      // All that matters was acknowledged before.
    }
    messages = nil
  }

  // MARK: The connection

  private func connected() async throws -> HeadedStream {
    if let messages { return messages }
    let stream = try await open()
    let made = HeadedStream(stream, headLimit: 32 << 10, bodyLimit: TransferFile.blockLimit / 8)
    var hello: [JSONValue.Member] = [
      .init("do", .text("hello")), .init("version", .number(ReceiveSession.version)),
      .init("session", .text(target.session)),
      .init("digest", .text(target.verification.rawValue)),
    ]
    if let token = target.token { hello.append(.init("token", .text(token))) }
    try await made.send(.object(hello), by: deadline)
    do {
      _ = try await answer(made)
    } catch let problem as TransferProblem where !problem.mayBeTriedAgain {
      plan.fail("\(target.address): \(problem)")
      throw SendFailure("\(problem)")
    }
    messages = made
    return made
  }

  private func open() async throws -> MartletNet.Stream {
    var problem: any Error = SendFailure("\(target.address) has no address")
    for address in try await addresses().prefix(8) {
      do {
        let stream = try await MartletNet.Stream.connect(to: address, on: loop, by: deadline)
        guard let context = target.context else { return stream }
        let name = TLSServerName(asked: asked, verified: verified, isAddress: asked == nil)
        let session = try TLSSession(context, socket: stream.descriptor, to: name)
        try await session.begin(on: stream, loop, by: deadline)
        return stream
      } catch {
        problem = error
      }
    }
    throw problem
  }

  private var asked: String? { if case .name(let name, _) = target.address { name } else { nil } }

  private var verified: String {
    switch target.address {
    case .name(let name, _): name
    case .ip(let address, _): "\(address)"
    case .any, .unix: "localhost"
    }
  }

  private func addresses() async throws -> [SocketAddress] {
    let (name, port): (String, UInt16)
    switch target.address {
    case .unix(let path): return [.unix(path)]
    case .any(let own): (name, port) = ("127.0.0.1", own)
    case .ip(let address, let own): (name, port) = ("\(address)", own)
    case .name(let host, let own): (name, port) = (host, own)
    }
    let (host, number) = (name, port)
    return try await threads.run(on: loop, by: deadline) {
      Result { () throws(ResolutionError) in try SocketAddress.resolve(host, port: number) }
    }.get()
  }

  /// The next answer, if it agrees.
  ///
  /// - Throws: ``TransferProblem`` as the receiver words it.
  private func answer(_ messages: HeadedStream) async throws -> (head: JSONValue, body: [UInt8]) {
    let deadline = loop.deadline(after: Self.answerPatience)
    guard let message = try await messages.next(by: deadline) else { throw FramedStreamError.cut }
    var body: [UInt8] = []
    while try await messages.part(by: deadline, { body.append(copying: $0) }) {}
    guard message.head["ok"]?.flag == true else {
      throw TransferProblem(
        message.head["problem"]?.text ?? "refused",
        mayBeTriedAgain: message.head["again"]?.flag ?? false
      )
    }
    return (message.head, body)
  }

  // MARK: Files

  private func send(_ item: SendItem) async throws {
    let messages = try await connected()
    if item.isFolder {
      let head: JSONValue = .object([
        "do": .text("folder"), "name": .text(item.name), "mode": .number(Int(item.rights)),
      ])
      try await messages.send(head, by: deadline)
      _ = try await answer(messages)
      return
    }
    let content: OpenFile
    let facts: FileFacts
    do throws(SystemError) {
      content = OpenFile(try SendPlan.open(item.path))
      facts = try content.descriptor.facts()
    } catch {
      throw SendFailure("\(error)")
    }
    guard facts.kind == .regular else { throw SendFailure("it is no file any more") }
    let file = TransferFile(
      name: item.name,
      byteCount: Int(facts.byteCount),
      rights: facts.rights & 0o777,
      modified: facts.modifiedNanoseconds
    )
    guard file.blockCount <= TransferFile.blockLimit else { throw SendFailure("it is too long") }
    guard let present = try await offer(file, messages) else { return plan.note(present: file) }
    let sent = SentFile(file, content, facts, present: present)
    if file.blockCount > Self.window { plan.callHelp(with: sent, file.blockCount / Self.window) }
    // Others that help may still do so when this one has broken off: then the file begins anew.
    defer { sent.end() }
    try await sendBlocks(of: sent, messages)
    // Others may have blocks under way, or give them back.
    while sent.leftCount > 0 {
      guard plan.problem == nil else { return }
      await sent.changed(within: .seconds(1))
      try await sendBlocks(of: sent, messages)
    }
    try await finish(sent, messages)
  }

  private func help(with sent: SentFile) async throws {
    let messages = try await connected()
    guard try await offer(sent.file, messages) != nil, !sent.isOver else { return }
    try await sendBlocks(of: sent, messages)
  }

  /// Tells of a file; which blocks of it are there, or nil when it is there as a whole.
  private func offer(_ file: TransferFile, _ messages: HeadedStream) async throws -> BlockSet? {
    try await messages.send(file.head("offer"), by: deadline)
    let (head, body) = try await answer(messages)
    if head["is"]?.text == "whole" { return nil }
    guard let present = BlockSet(body, count: file.blockCount) else {
      throw SendFailure("the answer cannot be understood")
    }
    return present
  }

  /// Sends blocks that nobody has taken.
  private func sendBlocks(of sent: SentFile, _ messages: HeadedStream) async throws {
    var waiting: [(block: Int, digest: [UInt8])] = []
    var problem: (any Error)?
    do {
      while let block = sent.take() {
        waiting.append((block, []))
        let digest = try digest(of: block, sent)
        waiting[waiting.count - 1].digest = digest
        let range = sent.file.range(of: block)
        if sent.isPresent(block) {
          waiting.removeLast()
          plan.note(presentBytes: range.count)
          sent.note(block, digest: digest)
          continue
        }
        let head = sent.file.head(
          "block",
          [.init("block", .number(block)), .init("digest", .text(TransferDigest.text(digest)))]
        )
        try await messages.send(
          head,
          file: sent.content.descriptor,
          from: range.lowerBound,
          count: range.count,
          pause: Self.patience
        )
        if waiting.count > Self.window { try await acknowledge(&waiting, sent, messages) }
      }
      while !waiting.isEmpty { try await acknowledge(&waiting, sent, messages) }
    } catch {
      problem = error
    }
    guard let problem else { return }
    sent.giveBack(waiting.map(\.block))
    // Answers to what is under way would be taken for others.
    self.messages = nil
    throw problem
  }

  /// Takes the answer to the block that has waited longest.
  private func acknowledge(
    _ waiting: inout [(block: Int, digest: [UInt8])],
    _ sent: SentFile,
    _ messages: HeadedStream
  ) async throws {
    _ = try await answer(messages)
    let (block, digest) = waiting.removeFirst()
    failureCount = 0
    plan.note(sentBytes: sent.file.range(of: block).count)
    sent.note(block, digest: digest)
  }

  private func digest(of block: Int, _ sent: SentFile) throws -> [UInt8] {
    let digest = try BlockDigest(target.verification, of: sent.file, block: block)
    let range = sent.file.range(of: block)
    var offset = range.lowerBound
    while offset < range.upperBound {
      var buffer = loop.lend(.body)
      let count = try buffer.fill(
        from: sent.content,
        at: Int64(offset),
        upTo: range.upperBound - offset
      )
      guard count > 0 else { throw SendFailure("it has become shorter") }
      digest.add(buffer.bytes)
      offset += count
    }
    return digest.finish()
  }

  private func finish(_ sent: SentFile, _ messages: HeadedStream) async throws {
    guard sent.isUnchanged else { throw SendFailure("it was changed while it was sent") }
    let digest = try TransferDigest.whole(sent.digests)
    let member = JSONValue.Member("digest", .text(TransferDigest.text(digest)))
    try await messages.send(sent.file.head("finish", [member]), by: deadline)
    _ = try await answer(messages)
    plan.note(sent.file, digest: digest)
  }
}

/// Why a file cannot be sent, whatever is tried.
struct SendFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
