import HTTPMessage
import Probes
import TestCorpora

extension StreamProbe {
  /// The probe that reads the files of this kind.
  init(_ kind: String) throws {
    switch kind {
    case "redis": self = .redis(RedisProbe())
    case "mysql": self = .mysql(MySQLProbe())
    case "postgresql": self = .postgresql(PostgreSQLProbe())
    case "tls": self = .tls(TLSProbe())
    case "http": self = .http(HTTPProbe(Self.question(body: "ok")))
    case "expect": self = .expect(ExpectProbe(BytePattern("220 *ESMTP")))
    default: throw CorpusError(what: "no probe is called \(kind)")
    }
  }

  static func question(body: String?, keepsConnection: Bool = false) -> HTTPQuestion {
    HTTPQuestion(
      method: "GET",
      path: "/healthz",
      host: "a",
      statuses: [200...299],
      body: body.map { BytePattern($0) },
      keepsConnection: keepsConnection
    )
  }

  /// The verdict on an answer that comes in these pieces and then ends.
  mutating func verdict(on pieces: [[UInt8]]) -> ProbeVerdict {
    for piece in pieces where !piece.isEmpty {
      if let verdict = receive(piece.span) { return verdict }
    }
    return end()
  }

  /// The kinds there are.
  static let kinds = ["redis", "mysql", "postgresql", "tls", "http", "expect"]
}

/// An answer of the corpus, with what it means.
struct RecordedAnswer: Sendable, CustomStringConvertible {
  var name: String
  var verdict: String
  var bytes: [UInt8]

  var kind: String { String(name.prefix { $0 != "-" }) }
  var description: String { name }

  static func all() throws -> [RecordedAnswer] {
    let table = String(decoding: try Corpus.probes.bytes(of: "expected.txt"), as: UTF8.self)
    let lines = table.split(separator: "\n").filter { !$0.hasPrefix("#") }
    let answers = try lines.map { line in
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 2 else { throw CorpusError(what: "a malformed line: \(line)") }
      return RecordedAnswer(
        name: words[0],
        verdict: words[1],
        bytes: try Corpus.probes.bytes(of: words[0] + ".bin")
      )
    }
    guard answers.map({ $0.name + ".bin" }).sorted() == (try Corpus.probes.names()) else {
      throw CorpusError(what: "expected.txt and the files of probes differ")
    }
    return answers
  }
}

extension ProbeVerdict {
  /// The verdict as the corpus writes it.
  var word: String {
    switch self {
    case .passed: "passed"
    case .failed(let failure): failure.reason.rawValue
    }
  }
}
