import GatewayProtocols
import HTTPMessage
import MartletBytes
import MartletLoop
import MartletSystem
import MartletTelemetry
import StaticFiles

/// What of an application a request is for, and which requests are for files beside it.
extension HTTP1Connection {
  /// Finds what a request is for, and notes it in the exchange's hand.
  ///
  /// - Returns: The files that answer in the application's place; nil: the application does.
  /// - Throws: ``EndReason/fileMissing`` when there is no such script.
  func aim(
    _ exchange: Exchange,
    at gateway: GatewayPlan,
    _ head: Span<UInt8>
  ) throws(ExchangeError) -> FilesPlan? {
    if exchange.hand.gateway != nil { return nil }
    if let rewrite = exchange.route?.rewrite {
      var target = loop.lend(.head)
      try rewrite.write(to: &target, exchange, self, head, answer: Span())
      let mark = ByteSearch.firstIndex(of: 0x3F, in: target.bytes, from: 0) ?? target.count
      let files = try aim(exchange, at: gateway, path: target.bytes.extracting(0..<mark))
      if mark < target.count {
        exchange.hand.gateway?.query = Array(
          copying: target.bytes.extracting(mark + 1..<target.count)
        )
      }
      return files
    }
    return try aim(exchange, at: gateway, path: filePath(exchange, head))
  }

  private func aim(
    _ exchange: Exchange,
    at gateway: GatewayPlan,
    path: Span<UInt8>
  ) throws(ExchangeError) -> FilesPlan? {
    let usual: [UInt8] = [0x2F]
    let path = path.isEmpty ? usual.span : path
    do throws(ScriptPath.Problem) {
      guard let scripts = gateway.scripts else {
        let prefix = exchange.route?.stripPrefix ?? []
        let rest = try ScriptPath.decoded(path)
        exchange.hand.gateway = GatewayTarget(path: ScriptPath(script: prefix, rest: rest))
        return nil
      }
      if gateway.filters {
        let plain = try ScriptPath.decoded(path)
        let entry = worker.shelf(of: scripts.files).find(path, for: worker)
        guard case .file(let file) = entry.content else { throw .noScript }
        var target = GatewayTarget(path: ScriptPath(script: plain, rest: []))
        target.data = file.identity
        exchange.hand.gateway = target
        return nil
      }
      let found = try ScriptPath(path, endings: scripts.endings, index: scripts.index)
      if isThere(found.script, of: scripts) {
        exchange.hand.gateway = GatewayTarget(path: found)
        return nil
      }
    } catch {
      if error == .ambiguous { throw ExchangeError(.fileMissing, detail: "ambiguous_path") }
    }
    guard let scripts = gateway.scripts else { throw ExchangeError(.internalError) }
    if scripts.servesFiles, !isFilling, isFile(path, of: scripts) { return scripts.files }
    guard !scripts.front.isEmpty, isThere(scripts.front, of: scripts) else {
      throw ExchangeError(.fileMissing)
    }
    exchange.hand.gateway = GatewayTarget(path: ScriptPath(script: scripts.front, rest: []))
    return nil
  }

  /// Whether a script is a file below the root.
  private func isThere(_ script: [UInt8], of scripts: GatewayPlan.Scripts) -> Bool {
    // Files are found by paths that may have escapes.
    let path =
      script.contains(0x25)
      ? script.flatMap { $0 == 0x25 ? Array("%25".utf8) : [$0] } : script
    let entry = worker.shelf(of: scripts.files).find(path.span, for: worker)
    if case .file = entry.content { return true }
    return false
  }

  /// Whether a path is that of a file, or of a folder without the slash, and not of a copy of a script.
  private func isFile(_ path: Span<UInt8>, of scripts: GatewayPlan.Scripts) -> Bool {
    do throws(ScriptPath.Problem) {
      let plain = try ScriptPath.decoded(path)
      if ScriptPath.isLikeScript(plain.span, endings: scripts.endings) { return false }
    } catch {
      return false
    }
    switch worker.shelf(of: scripts.files).find(path, for: worker).content {
    case .file, .lacksSlash: return true
    case .listing, .nothing: return false
    }
  }

  /// Receives a body whose length is not known, of which applications have to be told first, and reads the file that
  /// goes behind it.
  ///
  /// - Throws: ``EndReason/bodyTooLarge`` with 411 when it is longer than is kept, ``EndReason/fileFailed`` when the
  ///   file is.
  func gatherBody(
    _ exchange: Exchange,
    for gateway: GatewayPlan,
    _ head: inout Lent
  ) async throws(ExchangeError) {
    let limit = gateway.bodyByteCount
    let data = try await data(of: exchange, atMost: gateway.filteredByteCount ?? 0)
    let replay = Replay(limit: limit + data.count)
    var count = 0
    _ = try await takeBody(exchange, &head) { (bytes: Span<UInt8>) in
      replay.keep(bytes)
      count += bytes.count
      return count <= limit
    }
    guard count <= limit, exchange.body.hasEnded else {
      throw ExchangeError(.bodyTooLarge, status: 411, detail: "a length is needed")
    }
    replay.keep(data.span)
    exchange.hand.replay = replay
    exchange.isGathered = true
  }

  /// The bytes of the file that an application is given.
  private func data(
    of exchange: Exchange,
    atMost limit: Int
  ) async throws(ExchangeError) -> [UInt8] {
    guard let data = exchange.hand.gateway?.data else { return [] }
    guard data.byteCount <= Int64(limit) else {
      throw ExchangeError(.fileFailed, detail: "larger than `filter` says")
    }
    if let bytes = data.bytes { return bytes }
    let (file, count) = (data.file, Int(data.byteCount))
    let bytes = try await onFileThread { Self.bytes(of: file, count) }
    guard bytes.count == count else { throw ExchangeError(.fileFailed, detail: "cut short") }
    return bytes
  }

  /// The first bytes of a file; fewer where they cannot be read.
  private static func bytes(of file: OpenFile?, _ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    guard let file else { return bytes }
    do throws(SystemError) {
      while bytes.count < count {
        let more = min(1 << 18, count - bytes.count)
        let block = try file.descriptor.read(upTo: more, at: bytes.count)
        if block.isEmpty { return bytes }
        bytes += block
      }
    } catch {
      return []
    }
    return bytes
  }
}
