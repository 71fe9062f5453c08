import HTTPMessage
import MartletLoop
import MartletTelemetry
import StaticFiles

/// Files that members name in the place of their answers.
extension HTTP1Connection {
  /// Sends the file that a member has named; the fields of its answer go with it.
  ///
  /// - Throws: ``EndReason/fileMissing`` and its like: what may not be served by its path is not sent.
  func answerFile(
    _ exchange: Exchange,
    named file: NamedFile,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    guard let path = file.plan.path(of: file.value.span) else {
      throw ExchangeError(.fileMissing, detail: "named_outside")
    }
    let plan = file.plan.files
    switch worker.shelf(of: plan).find(path.span, for: worker).content {
    case .file(let served):
      exchange.hand.named = file
      let representation = served.representation(for: exchange.request, in: head.bytes)
      let line = try await digestLine(exchange, representation, head)
      try compose(exchange, representation, head.bytes, digest: line)
      try await answerFile(exchange, plan, head)
    case .nothing(let absence): throw ExchangeError(absence)
    case .lacksSlash, .listing: throw ExchangeError(.fileMissing, detail: "named_folder")
    }
  }
}
