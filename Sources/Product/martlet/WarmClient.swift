import Certificates
import Directives
import Edge
import MartletBytes
import MartletLoop
import MartletNet
import MartletSystem
import Supervision
import TLS

/// Asks for one URL after the other, each over a connection of its own, and throws away what comes.
final class WarmClient {
  /// How it asks.
  struct Options: Sendable {
    /// Where it connects to; nil: to the host of each URL.
    var place: Address?
    /// Further fields.
    var fields: [String]
  }

  private static let timeout = Timeout(.seconds(60))
  private static let headBytes = 64 << 10

  private let loop: EventLoop
  private let options: Options
  private let connector: WebConnector

  init(on loop: EventLoop, _ options: Options) throws(CommandFailure) {
    self.loop = loop
    self.options = options
    connector = try WebConnector(on: loop, place: options.place)
  }

  /// Asks for a URL; at most `limit` bytes of the body are kept.
  func ask(_ url: String, keeping limit: Int) async -> (result: WarmResult, body: [UInt8]) {
    var result = WarmResult(url: url)
    guard let place = WebPlace(url) else {
      result.problem = "this is no URL that can be asked for"
      return (result, [])
    }
    do throws(CommandFailure) {
      let body = try await exchange(place, keeping: limit, &result)
      return (result, body)
    } catch {
      result.problem = error.message
      return (result, [])
    }
  }

  private func exchange(
    _ place: WebPlace,
    keeping limit: Int,
    _ result: inout WarmResult
  ) async throws(CommandFailure) -> [UInt8] {
    let deadline = loop.deadline(after: Self.timeout)
    let lines =
      ["GET \(place.target) HTTP/1.1", "Host: \(place.authority)", "Connection: close"]
      + (options.fields.contains { $0.lowercased().hasPrefix("user-agent:") }
        ? [] : ["User-Agent: martlet-warm"]) + options.fields
    do {
      let stream = try await connector.connect(to: place, by: deadline)
      let head = (lines + ["", ""]).joined(separator: "\r\n")
      try await stream.write(Array(head.utf8), by: deadline)
      var reader = WarmReader(limit: limit)
      while true {
        let part = try await stream.read(.body, by: loop.deadline(after: Self.timeout))
        if part.isEmpty { break }
        try reader.take([UInt8](copying: part.bytes))
      }
      try reader.finish(&result)
      return reader.body
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.failure, "\(error)")
    }
  }
}

/// Reads an answer that ends with its connection.
private struct WarmReader {
  private let limit: Int
  private var head: [UInt8] = []
  private var isInBody = false
  private var count = 0
  /// The last bytes, by which the end of a chunked body is known.
  private var tail: [UInt8] = []
  private(set) var body: [UInt8] = []

  init(limit: Int) { self.limit = limit }

  mutating func take(_ bytes: [UInt8]) throws(CommandFailure) {
    guard !isInBody else { return takeBody(bytes[...]) }
    let before = max(0, head.count - 3)
    head += bytes
    guard let end = Self.end(of: head, from: before) else {
      guard head.count <= 64 << 10 else { throw CommandFailure(.failure, "the head is too long") }
      return
    }
    isInBody = true
    let rest = head[end...]
    head = Array(head[..<end])
    takeBody(rest)
  }

  private static func end(of head: [UInt8], from start: Int) -> Int? {
    guard head.count >= 4 else { return nil }
    return (start...head.count - 4).first { head[$0..<$0 + 4].elementsEqual([13, 10, 13, 10]) }
      .map { $0 + 4 }
  }

  private mutating func takeBody(_ bytes: ArraySlice<UInt8>) {
    count += bytes.count
    tail = Array((tail + bytes.suffix(5)).suffix(5))
    if body.count < limit { body += bytes.prefix(limit - body.count) }
  }

  /// Tells what has come, when nothing more does.
  mutating func finish(_ result: inout WarmResult) throws(CommandFailure) {
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    let words = lines.first?.split(separator: " ") ?? []
    guard isInBody, words.count > 1, words[0].hasPrefix("HTTP/1."), let status = Int(words[1])
    else { throw CommandFailure(.failure, "there is no answer") }
    result.status = status
    result.byteCount = count
    var isChunked = false
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      switch line[..<colon].lowercased() {
      case "cache-status": result.cache = String(value)
      case "content-length":
        if let length = Int(value), length != count {
          throw CommandFailure(.failure, "the answer breaks off behind \(count) bytes")
        }
      case "transfer-encoding": isChunked = value.lowercased() == "chunked"
      default: break
      }
    }
    guard !isChunked || tail.elementsEqual([0x30, 13, 10, 13, 10]) else {
      throw CommandFailure(.failure, "the answer breaks off behind \(count) bytes")
    }
    if isChunked, limit > 0 { body = Self.unchunked(body) }
  }

  /// The content of a chunked body.
  private static func unchunked(_ body: [UInt8]) -> [UInt8] {
    var content: [UInt8] = []
    var rest = body[...]
    while let end = rest.firstIndex(of: 13) {
      let digits = rest[..<end].prefix { $0 != 0x3B }
      guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size > 0,
        size <= rest.endIndex - end - 2
      else { break }
      content += rest[(end + 2)..<(end + 2 + size)]
      rest = rest[(end + 2 + size)...].dropFirst(2)
    }
    return content
  }
}
