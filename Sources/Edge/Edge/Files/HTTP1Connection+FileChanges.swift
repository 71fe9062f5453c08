import Configuration
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import StaticFiles

/// Files that clients write and remove, where the route allows that.
extension HTTP1Connection {
  /// Stores or removes a file, or does what a request says about an upload.
  func changeFile(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let path: RelativePath
    do throws(RelativePath.Refusal) {
      path = try RelativePath(filePath(exchange, head.bytes))
    } catch {
      throw ExchangeError(.fileForbidden, detail: error.rawValue)
    }
    if path.isHidden, path.isUnfinished || !plan.rules.settings.showsHidden {
      throw ExchangeError(.fileForbidden, detail: "hidden")
    }
    guard !path.isFolder else { throw ExchangeError(.fileConflict, detail: "a_folder") }
    if let uploads = plan.uploads, plan.isAboutUpload(exchange.request, in: head.bytes) {
      try await continueUpload(exchange, plan, uploads, path, &head)
      return
    }
    let before = try judge(exchange, plan, head.bytes)
    if exchange.request.method == .delete {
      guard let before else { throw ExchangeError(.fileMissing) }
      try await remove(exchange, plan, path, before, head)
      return
    }
    // A part of a file cannot be put (RFC 9110, section 14.5).
    guard exchange.request.first(.contentRange) == nil else {
      throw ExchangeError(.refused, detail: "content_range")
    }
    if exchange.request.method == .post, before != nil {
      throw ExchangeError(.fileConflict, detail: "exists")
    }
    if let uploads = plan.uploads,
      try await beginUpload(exchange, plan, uploads, path, before, &head)
    {
      return
    }
    try await store(exchange, plan, path, before, &head)
  }

  /// What is at the path of a request now; nil: nothing.
  ///
  /// - Throws: ``ExchangeError`` with 412 where a condition does not hold.
  private func judge(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ head: Span<UInt8>
  ) throws(ExchangeError) -> FileFacts? {
    let path = filePath(exchange, head)
    let entry = worker.shelf(of: plan).find(path, for: worker, isFresh: true)
    let conditions = Preconditions(of: exchange.request)
    let now = HTTPDate(secondsSince1970: worker.clock.seconds)
    switch entry.content {
    case .file(let file):
      let tag = file.identity.tag
      let current = Preconditions.Validators(tag: tag.span, modified: file.identity.modified)
      guard conditions.outcome(for: current, now: now, in: head) == .proceed else {
        throw ExchangeError(.preconditionFailed)
      }
      return file.identity.facts
    case .lacksSlash, .listing: throw ExchangeError(.fileConflict, detail: "a_folder")
    case .nothing(let absence):
      guard absence.kind == .missing else { throw ExchangeError(absence) }
      guard conditions.outcome(for: .missing, now: now, in: head) == .proceed else {
        throw ExchangeError(.preconditionFailed)
      }
      return nil
    }
  }

  private func remove(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ path: RelativePath,
    _ before: FileFacts,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    let rules = plan.rules
    try await onThread(exchange) { () throws(FileChangeFailure) in
      try FileDraft.remove(path, by: rules, being: before)
    }
    _ = worker.shelf(of: plan).find(filePath(exchange, head.bytes), for: worker, isFresh: true)
    exchange.status = 204
    try await sendAnswer(exchange, [], [], head) { _ throws(ExchangeError) in }
  }

  private func store(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ path: RelativePath,
    _ before: FileFacts?,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let draft: FileDraft
    do throws(FileChangeFailure) {
      draft = try FileDraft(path, by: plan.rules, number: worker.random.next())
    } catch {
      throw ExchangeError(error)
    }
    let digests = try BodyDigests(of: exchange.request, in: head.bytes, .content, .representation)
    try await receiveBody(exchange, &head) { (bytes: Span<UInt8>) throws(ExchangeError) in
      digests?.add(bytes)
      try write(bytes, to: draft)
    }
    if let digests, !digests.finish() { throw ExchangeError(.refused, detail: "content_digest") }
    try await onThread(exchange) { () throws(FileChangeFailure) in
      try draft.finish(replacing: before)
    }
    try await tellStored(exchange, plan, isNew: before == nil, head) { _ throws(ExchangeError) in }
  }

  /// Says that a file is in place, with its new tag.
  func tellStored(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    isNew: Bool,
    _ head: borrowing Lent,
    _ addFields: (inout Lent) throws(ExchangeError) -> Void
  ) async throws(ExchangeError) {
    let target = filePath(exchange, head.bytes)
    let entry = worker.shelf(of: plan).find(target, for: worker, isFresh: true)
    var tag: [UInt8] = []
    if case .file(let file) = entry.content { tag = file.identity.tag }
    let told = tag
    exchange.status = isNew ? 201 : 204
    try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
      try addFields(&out)
      guard !told.isEmpty else { return }
      try out.put("ETag: ")
      try out.put(told)
      try out.put("\r\n")
    }
  }

  private func write(_ bytes: Span<UInt8>, to draft: FileDraft) throws(ExchangeError) {
    do throws(FileChangeFailure) {
      try draft.write(bytes)
    } catch {
      throw ExchangeError(error)
    }
  }

  /// Has a thread of the pool do what waits for the disk.
  private func onThread(
    _ exchange: Exchange,
    _ work: @escaping @Sendable () throws(FileChangeFailure) -> Void
  ) async throws(ExchangeError) {
    let result = try await onFileThread { () -> Result<Void, FileChangeFailure> in
      do throws(FileChangeFailure) {
        return .success(try work())
      } catch {
        return .failure(error)
      }
    }
    if case .failure(let failure) = result { throw ExchangeError(failure) }
  }

  /// What a thread of the pool makes of work that waits for the disk.
  func onFileThread<Outcome: Sendable>(
    _ work: @escaping @Sendable () -> Outcome
  ) async throws(ExchangeError) -> Outcome {
    guard let threads = FileThreads.shared else {
      throw ExchangeError(.fileFailed, detail: "no thread for files")
    }
    do throws(BlockingPool.Refusal) {
      return try await threads.run(on: loop, work)
    } catch {
      throw ExchangeError(.overloaded, detail: "files")
    }
  }
}

extension ExchangeError {
  init(_ failure: FileChangeFailure) {
    switch failure {
    case .changed: self.init(.preconditionFailed, detail: "changed meanwhile")
    case .conflict(let detail): self.init(.fileConflict, detail: detail)
    case .failed(let error):
      switch error.code {
      case 1, 13, 18, 30, 40: self.init(.fileForbidden, detail: "\(error)")
      // No room on the disk, or none for this user.
      case 28, 122: self.init(.fileFailed, status: 507, detail: "\(error)")
      default: self.init(.fileFailed, detail: "\(error)")
      }
    }
  }
}
