import MartletSystem
import Supervision

/// A configuration of the tests: words in lines.
///
/// `listen PORT`, `loopback PORT`, `unix PATH`, `log PATH`, `greeting WORD`, `limit SECONDS` and
/// `hang SECONDS` are what they say;
/// `error WORD` is a configuration with errors; from generation N on the edge refuses with
/// `refuse N`, ends at once with `crash N`.
struct FakeConfiguration {
  var lines: [[Substring]]
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ")
    }
  }

  init(file: String) throws(CommandFailure) {
    do throws(SystemError) {
      self.init(try Files.read(file, limit: 10_000))
    } catch {
      throw CommandFailure(.configuration, "\(file): \(error)")
    }
  }

  func values(_ word: String) -> [String] {
    lines.filter { $0.count == 2 && $0[0] == word }.map { String($0[1]) }
  }

  /// Whether the word's number has been reached.
  func has(_ word: String, at generation: UInt64) -> Bool {
    values(word).contains { UInt64($0).map { generation >= $0 } ?? false }
  }

  func assignment() throws(CommandFailure) -> Assignment {
    if let word = values("error").first {
      throw CommandFailure(.configuration, "line 1: \(word) is wrong")
    }
    let ports = values("listen").map { text in
      ListenerDemand(key: ":\(text)", place: .anywhere(port: UInt16(text) ?? 0))
    }
    let loopback = values("loopback").map { text in
      ListenerDemand(
        key: "127.0.0.1:\(text)",
        place: .at(.ipv4(0x7F00_0001, port: UInt16(text) ?? 0))
      )
    }
    let paths = values("unix").map { path in
      ListenerDemand(key: "unix:\(path)", place: .at(.unix(path)))
    }
    return Assignment(
      source: bytes,
      listeners: ports + loopback + paths,
      logs: values("log").map { LogDemand(key: $0, path: $0) },
      drainLimit: .seconds(Int64(values("limit").first ?? "20") ?? 20),
      hangLimit: values("hang").first.flatMap { Int64($0) }.map { .seconds($0) }
    )
  }
}
