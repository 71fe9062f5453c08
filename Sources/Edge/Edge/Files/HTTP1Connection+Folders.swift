import Configuration
import HTTPMessage
import MartletLoop
import MartletSystem
import MartletTelemetry
import StaticFiles

/// Answers that show what is in a folder.
extension HTTP1Connection {
  /// Sends a folder as a page or as JSON; a thread of the pool reads it.
  func showFolder(
    _ exchange: Exchange,
    _ plan: FilesPlan,
    _ folder: RelativePath,
    _ head: borrowing Lent
  ) async throws(ExchangeError) {
    guard let threads = FileThreads.shared else {
      throw ExchangeError(.fileFailed, detail: "no thread for files")
    }
    var wish = FolderListing.Wish(exchange.request, in: head.bytes)
    if plan.rules.settings.listing == .json { wish.isJSON = true }
    let rules = plan.rules
    let asked = wish
    let result: Result<[UInt8], SystemError>
    do throws(BlockingPool.Refusal) {
      result = try await threads.run(on: loop, by: sendDeadline(exchange)) {
        FileThreads.page(of: folder, rules, asked)
      }
    } catch {
      throw ExchangeError(.overloaded, detail: "folders")
    }
    switch result {
    case .success(let page):
      exchange.status = 200
      let type = wish.isJSON ? "application/json" : "text/html; charset=utf-8"
      let isPage = !wish.isJSON
      try await sendAnswer(exchange, Array(type.utf8), page, head) {
        (out: inout Lent) throws(ExchangeError) in
        // What is in a folder may be other things a moment later.
        try out.put(
          "Cache-Control: no-cache\r\nVary: Accept\r\nX-Content-Type-Options: nosniff\r\n"
        )
        guard isPage else { return }
        try out.put("Content-Security-Policy: ")
        try out.put(FolderPage.policy)
        try out.put("\r\n")
      }
    case .failure(let error): throw ExchangeError(.fileFailed, detail: "\(error)")
    }
  }
}

/// The threads that do for all loops what waits for the disk, or takes many calls.
enum FileThreads {
  static let shared: BlockingPool? = {
    do throws(SystemError) {
      return try BlockingPool(threadLimit: 4, queueLimit: 1024)
    } catch {
      return nil
    }
  }()

  static func page(
    of folder: RelativePath,
    _ rules: FileRules,
    _ wish: FolderListing.Wish
  ) -> Result<[UInt8], SystemError> {
    do throws(SystemError) {
      var listing = try FolderListing.read(folder, by: rules)
      listing.sort(by: wish.order, isDescending: wish.isDescending)
      return .success(Array((wish.isJSON ? listing.json : FolderPage(listing).text).utf8))
    } catch {
      return .failure(error)
    }
  }
}
