import Directives
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletTelemetry
import StaticFiles

/// What clients are told about their uploads.
extension HTTP1Connection {
  /// Refuses a request about an upload, in a form that programs read where the client knows it.
  func refuse(
    _ exchange: Exchange,
    _ problem: UploadProblem,
    _ dialect: UploadDialect,
    _ head: borrowing Lent,
    _ addFields: (inout Lent) throws(ExchangeError) -> Void = { _ throws(ExchangeError) in }
  ) async throws(ExchangeError) {
    exchange.error = problem.error
    exchange.status = problem.error.status
    if !exchange.body.hasEnded { exchange.closesClient = true }
    let told = dialect.tellsProblems ? problem.json : nil
    let type = told == nil ? "text/plain; charset=utf-8" : "application/problem+json"
    let status = problem.error.status
    let text = told ?? "\(status) \(ReasonPhrase.text(of: status))\n"
    try await sendAnswer(exchange, Array(type.utf8), Array(text.utf8), head) {
      (out: inout Lent) throws(ExchangeError) in
      try addFields(&out)
    }
  }

  /// The bounds of an upload, as its client is told.
  func limits(of work: UploadWork, _ exchange: Exchange) -> [UInt8] {
    let limit = exchange.route?.bodyLimit ?? .max
    let limits = UploadLimits(
      byteCount: work.uploads.byteLimit,
      partByteCount: limit == .max ? nil : Int64(clamping: limit),
      seconds: work.uploads.seconds(left: work.upload.record, at: worker.clock.seconds)
    )
    return Array(limits.text(in: work.request.dialect).utf8)
  }

  /// The URL of an upload: that of its file, with the upload's name as its query.
  func location(
    of name: UploadName,
    _ exchange: Exchange,
    _ head: Span<UInt8>
  ) -> [UInt8] {
    var url: [UInt8] = []
    if !exchange.request.authority.isEmpty {
      url += Array("\(scheme)://".utf8)
      url.append(copying: head.extracting(exchange.request.authority.range))
    }
    url.append(copying: head.extracting(exchange.request.path.range))
    return url + Array("?\(UploadName.parameter)\(name)".utf8)
  }

  /// Tells who asks what may be done here that uploads may go on, and their bounds.
  func offerUploads(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ out: inout Lent
  ) throws(ExchangeError) {
    guard plan.uploads != nil else { return }
    try out.put("Accept-Patch: ")
    try out.put(UploadWork.mediaType)
    try out.put("\r\n")
    try putLimits(of: exchange, plan, &out)
  }

  /// Writes the bounds of uploads that begin, where there may be any.
  func putLimits(
    of exchange: Exchange,
    _ plan: FilesPlan,
    _ out: inout Lent
  ) throws(ExchangeError) {
    guard let uploads = plan.uploads else { return }
    let limit = exchange.route?.bodyLimit ?? .max
    let limits = UploadLimits(
      byteCount: uploads.byteLimit,
      partByteCount: limit == .max ? nil : Int64(clamping: limit),
      seconds: uploads.ageLimit
    )
    try out.put("Upload-Limit: ")
    try out.put(limits.text(in: .current))
    try out.put("\r\n")
  }
}

/// What a request does with an upload.
struct UploadWork {
  let plan: FilesPlan
  let uploads: UploadStore
  let upload: FileUpload
  let request: UploadRequest

  /// What parts of a file are sent as.
  static let mediaType = "application/partial-upload"

  /// Writes how far the upload is.
  func putState(isComplete: Bool, _ out: inout Lent) throws(ExchangeError) {
    let dialect = request.dialect
    try dialect.putVersion(&out)
    try out.put(dialect.saysIncomplete ? "Upload-Incomplete: ?" : "Upload-Complete: ?")
    try out.put(isComplete != dialect.saysIncomplete ? "1" : "0")
    try out.put("\r\nUpload-Offset: ")
    try out.put(decimal: UInt64(upload.offset))
    try out.put("\r\n")
  }
}

extension UploadDialect {
  /// Writes which version is spoken, to clients that have said theirs.
  func putVersion(_ out: inout Lent) throws(ExchangeError) {
    guard let number else { return }
    try out.put("Upload-Draft-Interop-Version: ")
    try out.put(decimal: UInt64(number))
    try out.put("\r\n")
  }
}

/// Why a request about an upload is refused.
enum UploadProblem {
  /// It is complete.
  case completed
  /// The request does not begin where the upload ends.
  case offset(expected: Int64, provided: Int64)
  /// Two lengths differ.
  case lengths
  /// Something that is not about uploads.
  case other(ExchangeError)

  var error: ExchangeError {
    switch self {
    case .completed: ExchangeError(.refused, detail: "upload_is_complete")
    case .offset: ExchangeError(.fileConflict, detail: "upload_offset")
    case .lengths: ExchangeError(.refused, detail: "upload_length")
    case .other(let error): error
    }
  }

  /// The problem for programs; nil: there is no form for it.
  ///
  /// - Source: RFC 9457.
  var json: String? {
    let (name, title): (String, String)
    var members: [JSONValue.Member] = []
    switch self {
    case .completed: (name, title) = ("completed-upload", "the upload is complete")
    case .lengths:
      (name, title) = ("inconsistent-upload-length", "the lengths of the upload differ")
    case .offset(let expected, let provided):
      (name, title) = ("mismatching-upload-offset", "the upload ends elsewhere")
      members = [
        JSONValue.Member("expected-offset", .number(Int(expected))),
        JSONValue.Member("provided-offset", .number(Int(provided))),
      ]
    case .other: return nil
    }
    let type = "https://iana.org/assignments/http-problem-types#\(name)"
    members.insert(JSONValue.Member("type", .text(type)), at: 0)
    members.insert(JSONValue.Member("title", .text(title)), at: 1)
    return JSONValue.object(members).formatted() + "\n"
  }
}

extension ExchangeError {
  init(_ failure: UploadFailure) {
    switch failure {
    case .missing: self.init(.fileMissing, detail: "upload")
    case .busy, .noPlace:
      self.init(.fileFailed, status: 503, detail: failure == .busy ? "upload_busy" : "uploads")
    case .takenOver: self.init(.fileConflict, detail: "upload_taken_over")
    case .tooLarge: self.init(.bodyTooLarge)
    case .length: self.init(.refused, detail: "upload_length")
    case .digest: self.init(.refused, detail: "repr_digest")
    case .file(let failure): self.init(failure)
    }
  }
}
