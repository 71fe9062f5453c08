import HTTPMessage
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import MartletTelemetry
import StaticFiles

/// Uploads that go on after an interruption.
///
/// A client that says `Upload-Complete` is told at once where its upload is known, and may ask there how much has
/// come, send the rest, or give it up.
///
/// - Source: draft-ietf-httpbis-resumable-upload-12.
extension HTTP1Connection {
  // MARK: The beginning

  /// Begins an upload, if the request says that it is one, and receives what it holds of it.
  ///
  /// - Returns: False where it is a request like others.
  func beginUpload(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ uploads: UploadStore,
    _ path: RelativePath,
    _ before: FileFacts?,
    _ head: inout Lent
  ) async throws(ExchangeError) -> Bool {
    guard let request = UploadRequest(exchange.request, in: head.bytes) else {
      // A part must not be taken for the whole.
      guard UploadRequest.saysPart(exchange.request, in: head.bytes) else { return false }
      throw ExchangeError(.refused, detail: "upload_version")
    }
    guard let isComplete = request.isComplete else { return false }
    guard request.offset ?? 0 == 0 else { throw ExchangeError(.refused, detail: "upload_offset") }
    let length: Int64?
    do throws(UploadLengthConflict) {
      length = try request.wholeLength(at: 0, content: exchange.request.bodyLength, known: nil)
    } catch {
      try await refuse(exchange, .lengths, request.dialect, head)
      return true
    }
    if let length, length > uploads.byteLimit { throw ExchangeError(.bodyTooLarge) }
    let now = worker.clock.seconds
    let said = BodyDigests.text(of: .representation, in: exchange.request, head.bytes)
    let digests = said.isEmpty ? nil : said
    let begun = try await onFileThread { () -> Result<FileUpload, UploadFailure> in
      do throws(UploadFailure) {
        return .success(
          try uploads.begin(path, length: length, digests: digests, replacing: before, at: now)
        )
      } catch {
        return .failure(error)
      }
    }
    let upload: FileUpload
    switch begun {
    case .success(let new): upload = new
    // Without a place for it the upload is like others, which cannot go on.
    case .failure(.noPlace) where isComplete: return false
    case .failure(let failure): throw ExchangeError(failure)
    }
    defer { uploads.release(upload) }
    count(.begun, plan)
    let work = UploadWork(plan: plan, uploads: uploads, upload: upload, request: request)
    let location = location(of: upload.name, exchange, head.bytes)
    let limits = limits(of: work, exchange)
    try await announce(work, location, limits, exchange)
    try await receive(exchange, work, length: length, &head)
    guard !isComplete else {
      try await finish(exchange, work, length: length, head)
      return true
    }
    try await sync(work)
    exchange.status = 201
    try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
      try work.putState(isComplete: false, &out)
      try out.put("Location: ")
      try out.put(location)
      try out.put("\r\nUpload-Limit: ")
      try out.put(limits)
      try out.put("\r\n")
    }
    return true
  }

  /// Tells how far an upload is whose content still comes, once that is on the disk.
  ///
  /// - Source: draft-ietf-httpbis-resumable-upload-12, section 4.2.2.
  private func tellProgress(
    _ work: UploadWork,
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    let offset = work.upload.offset
    try await sync(work)
    var out = loop.lend(.head)
    try out.put("HTTP/1.1 104 Upload Resumption Supported\r\n")
    try work.request.dialect.putVersion(&out)
    try out.put("Upload-Offset: ")
    try out.put(decimal: UInt64(offset))
    try out.put("\r\n\r\n")
    do throws(StreamError) {
      try await stream.write(out, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
  }

  /// How many bytes come before the client is told once more how far its upload is.
  private static let progressBytes: Int64 = 8 << 20

  /// Says where an upload is known that begins, before its content has come.
  private func announce(
    _ work: UploadWork,
    _ location: [UInt8],
    _ limits: [UInt8],
    _ exchange: Exchange
  ) async throws(ExchangeError) {
    // HTTP/1.0 knows no interim answers.
    guard exchange.request.version != .http10 else { return }
    var out = loop.lend(.head)
    try out.put("HTTP/1.1 104 Upload Resumption Supported\r\n")
    try work.request.dialect.putVersion(&out)
    try out.put("Location: ")
    try out.put(location)
    try out.put("\r\nUpload-Limit: ")
    try out.put(limits)
    try out.put("\r\n\r\n")
    do throws(StreamError) {
      try await stream.write(out, by: sendDeadline(exchange))
    } catch {
      throw ExchangeError(sending: error)
    }
  }

  // MARK: Going on

  /// Tells how far an upload is, receives more of it, or gives it up.
  func continueUpload(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ uploads: UploadStore,
    _ path: RelativePath,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    guard let name = UploadName(query: head.bytes.extracting(exchange.request.query.range)) else {
      throw ExchangeError(.fileMissing, detail: "upload")
    }
    guard let request = UploadRequest(exchange.request, in: head.bytes) else {
      throw ExchangeError(.refused, detail: "upload_version")
    }
    // What is not in form is refused before it ends the request that is at the upload.
    let isAppended = exchange.request.method == .patch
    if isAppended { try checkForm(of: request, exchange, head.bytes) }
    let now = worker.clock.seconds
    let taken = try await onFileThread { () -> Result<FileUpload, UploadFailure> in
      do throws(UploadFailure) {
        return .success(try uploads.take(name, of: path, at: now))
      } catch {
        return .failure(error)
      }
    }
    let upload: FileUpload
    switch taken {
    case .success(let found): upload = found
    case .failure(let failure): throw ExchangeError(failure)
    }
    defer { uploads.release(upload) }
    let work = UploadWork(plan: plan, uploads: uploads, upload: upload, request: request)
    if isAppended {
      try await append(exchange, work, &head)
    } else if exchange.request.method == .head {
      try await tellState(exchange, work, head)
    } else {
      _ = try await onFileThread { uploads.cancel(upload) }
      count(.cancelled, plan)
      exchange.status = 204
      try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
        try request.dialect.putVersion(&out)
      }
    }
  }

  /// Sees to it that a request that sends more of an upload says what it has to.
  private func checkForm(
    of request: UploadRequest,
    _ exchange: Exchange,
    _ head: Span<UInt8>
  ) throws(ExchangeError) {
    if request.dialect.hasMediaType {
      let line = exchange.request.first(.contentType)
      let value = line.map { Array(copying: head.extracting($0.valueRange.range)) } ?? []
      guard String(decoding: value, as: UTF8.self).lowercased() == UploadWork.mediaType else {
        throw ExchangeError(.refused, status: 415, detail: "upload_type")
      }
    }
    guard request.offset != nil else { throw ExchangeError(.refused, detail: "upload_offset") }
    guard request.isComplete != nil || request.dialect.saysIncomplete else {
      throw ExchangeError(.refused, detail: "upload_complete")
    }
  }

  private func tellState(
    _ exchange: Exchange,
    _ work: UploadWork,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    let limits = limits(of: work, exchange)
    exchange.status = 204
    try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
      try work.putState(isComplete: work.upload.isComplete, &out)
      if let length = work.upload.record.length {
        try out.put("Upload-Length: ")
        try out.put(decimal: UInt64(length))
        try out.put("\r\n")
      }
      try out.put("Upload-Limit: ")
      try out.put(limits)
      try out.put("\r\nCache-Control: no-store\r\n")
    }
  }

  private func append(
    _ exchange: Exchange,
    _ work: UploadWork,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let (upload, uploads, request) = (work.upload, work.uploads, work.request)
    if upload.isComplete {
      return try await refuse(exchange, .completed, request.dialect, head)
    }
    guard let offset = request.offset, offset == upload.offset else {
      let problem = UploadProblem.offset(expected: upload.offset, provided: request.offset ?? 0)
      try await refuse(exchange, problem, request.dialect, head) {
        (out: inout Lent) throws(ExchangeError) in
        try work.putState(isComplete: false, &out)
      }
      return
    }
    var said = request
    said.isComplete = request.isComplete ?? true
    let length: Int64?
    do throws(UploadLengthConflict) {
      length = try said.wholeLength(
        at: offset,
        content: exchange.request.bodyLength,
        known: upload.record.length
      )
    } catch {
      return try await refuse(exchange, .lengths, request.dialect, head)
    }
    if let length, upload.record.length == nil {
      guard length <= uploads.byteLimit else { throw ExchangeError(.bodyTooLarge) }
      try await attempt { () throws(UploadFailure) in try uploads.note(length, of: upload) }
    }
    count(.resumed, work.plan)
    try await receive(exchange, work, length: length, &head)
    guard said.isComplete == false else {
      return try await finish(exchange, work, length: length, head)
    }
    try await sync(work)
    exchange.status = request.dialect.saysIncomplete ? 201 : 204
    try await sendAnswer(exchange, [], [], head) { (out: inout Lent) throws(ExchangeError) in
      try work.putState(isComplete: false, &out)
    }
  }

  // MARK: The content

  /// Writes the content of a request behind what has come of its upload.
  ///
  /// What has come when the client goes away stays; an upload that is longer than it may be goes. Content that has
  /// another digest than was said is forgotten.
  private func receive(
    _ exchange: Exchange,
    _ work: UploadWork,
    length: Int64?,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    var broken: UploadFailure?
    let start = work.upload.offset
    var told = start
    let tells = exchange.request.version != .http10 && work.request.dialect.tellsProgress
    let digests = try BodyDigests(of: exchange.request, in: head.bytes, .content)
    do throws(ExchangeError) {
      try await receiveBody(
        exchange,
        &head,
        { (bytes: Span<UInt8>) throws(ExchangeError) in
          do throws(UploadFailure) {
            digests?.add(bytes)
            try work.upload.append(bytes, length: length)
          } catch {
            broken = error
            throw ExchangeError(error)
          }
        },
        pause: { () async throws(ExchangeError) in
          let offset = work.upload.offset
          guard tells, offset - told >= Self.progressBytes else { return }
          told = offset
          try await tellProgress(work, exchange)
        }
      )
    } catch {
      if broken == .length || broken == .tooLarge {
        let (upload, uploads) = (work.upload, work.uploads)
        count(.failed, work.plan)
        _ = try await onFileThread { uploads.cancel(upload) }
      }
      throw error
    }
    if let digests, !digests.finish() {
      let upload = work.upload
      try await attempt { () throws(UploadFailure) in try upload.shorten(to: start) }
      throw ExchangeError(.refused, detail: "content_digest")
    }
  }

  /// Has what has come written to the disk, so that it may be promised.
  private func sync(_ work: UploadWork) async throws(ExchangeError) {
    let upload = work.upload
    try await attempt { () throws(UploadFailure) in try upload.sync() }
  }

  /// Puts the file in place.
  private func finish(
    _ exchange: Exchange,
    _ work: UploadWork,
    length: Int64?,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    let (upload, uploads) = (work.upload, work.uploads)
    let failure = try await failure(of: { () throws(UploadFailure) in
      try uploads.finish(upload, length: length, hasDigests: BodyDigests.areOf)
    })
    switch failure {
    case nil: break
    case .length?:
      count(.failed, work.plan)
      return try await refuse(exchange, .lengths, work.request.dialect, head)
    case .file(.changed)?, .file(.conflict)?, .digest?:
      count(.failed, work.plan)
      let error = failure.map { ExchangeError($0) } ?? ExchangeError(.internalError)
      // All has come, so that to go on would not help.
      return try await refuse(exchange, .other(error), work.request.dialect, head) {
        (out: inout Lent) throws(ExchangeError) in
        try work.putState(isComplete: true, &out)
      }
    case let failure?: throw ExchangeError(failure)
    }
    count(.completed, work.plan)
    let isNew = upload.record.before == nil
    try await tellStored(exchange, work.plan, isNew: isNew, head) {
      (out: inout Lent) throws(ExchangeError) in
      try work.putState(isComplete: true, &out)
    }
  }

  /// Has a thread do what waits for the disk.
  private func attempt(
    _ body: @escaping @Sendable () throws(UploadFailure) -> Void
  ) async throws(ExchangeError) {
    if let failure = try await failure(of: body) { throw ExchangeError(failure) }
  }

  /// Why what a thread does fails; nil: it does not.
  private func failure(
    of body: @escaping @Sendable () throws(UploadFailure) -> Void
  ) async throws(ExchangeError) -> UploadFailure? {
    try await onFileThread { () -> UploadFailure? in
      do throws(UploadFailure) {
        try body()
        return nil
      } catch {
        return error
      }
    }
  }

  private func count(_ outcome: UploadMetrics.Outcome, _ plan: FilesPlan) {
    if let metrics = plan.uploadMetrics { worker.counters.add(to: metrics[outcome]) }
  }
}
