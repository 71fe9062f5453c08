public import Foundation

/// The messages under Corpora/, for the tests of parsers and for those of the whole edge.
///
/// Its one difficulty: bytes are raw, in files of their own, and what is expected of them stands
/// in one table beside them, so that no test has a second opinion.
///
/// ```swift
/// @Test("refuses it", arguments: try RefusedMessage.all(in: .smuggling))
/// func refuses(message: RefusedMessage) { … }
/// ```
public enum Corpus: String, Sendable {
  /// Requests that are refused.
  case smuggling
  /// Responses of an upstream that are refused.
  case responses
  /// Requests that are accepted, and past failures.
  case request
  /// Responses that are accepted, and past failures.
  case response
  /// Chunked bodies that are accepted, and past failures.
  case chunked
  /// What servers answer to checks of their health.
  case probes
  /// PROXY headers, accepted and refused.
  case proxy
  /// ClientHellos of TLS, accepted and refused.
  case hello
  /// Paths of requests for files, accepted and refused.
  case paths
  /// Calls of JSON-RPC with their answers.
  case jsonrpc
  /// Stored responses as a disk keeps them, whole and broken.
  case stored
  /// What applications answer by FastCGI and by CGI, whole and broken.
  case gateways

  /// The corpus's folder.
  public var folder: URL {
    let file = URL(fileURLWithPath: #filePath)
    let root = file.deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    return root.appendingPathComponent("Corpora").appendingPathComponent(rawValue)
  }

  /// The names of the files that hold messages, sorted.
  ///
  /// - Throws: An error of Foundation when the folder cannot be read.
  public func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { !$0.hasSuffix(".txt") }.sorted()
  }

  /// The bytes of the file with this name.
  ///
  /// - Throws: An error of Foundation when the file cannot be read.
  public func bytes(of name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appendingPathComponent(name)))
  }
}

/// A message that is refused, with what is expected of it: one line of `expected.txt`.
public struct RefusedMessage: Sendable, CustomStringConvertible {
  /// Which part of the message is refused.
  public enum Part: String, Sendable {
    /// The head: nothing is passed on.
    case head
    /// The body: the head is sound.
    case body
  }

  /// The name of its file, without `.http`.
  public var name: String
  /// The status that answers it.
  public var status: UInt16
  /// The name of the defect, as `MessageError.Reason` spells it.
  public var reason: String
  /// Where the defect is.
  public var part: Part
  /// All bytes that are sent.
  public var bytes: [UInt8]

  /// Its name.
  public var description: String { name }

  /// Every line of the table, in its order.
  ///
  /// - Throws: ``CorpusError`` for a line that cannot be read, for a file without a line and for a
  ///   line without a file.
  public static func all(in corpus: Corpus) throws -> [RefusedMessage] {
    let table = String(decoding: try corpus.bytes(of: "expected.txt"), as: UTF8.self)
    var messages: [RefusedMessage] = []
    for line in table.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 4, let status = UInt16(words[1]), let part = Part(rawValue: words[3])
      else { throw CorpusError(what: "expected.txt has the malformed line: \(line)") }
      messages.append(
        RefusedMessage(
          name: words[0],
          status: status,
          reason: words[2],
          part: part,
          bytes: try corpus.bytes(of: words[0] + ".http")
        )
      )
    }
    let listed = messages.map { $0.name + ".http" }.sorted()
    guard listed == (try corpus.names()) else {
      throw CorpusError(what: "expected.txt and the files of \(corpus.rawValue) differ")
    }
    return messages
  }
}

/// The beginning of a connection, or a path, with what is expected of it: one line of `expected.txt`.
public struct Preface: Sendable, CustomStringConvertible {
  /// The name of its file, without `.bin`.
  public var name: String
  /// `accepted`, `incomplete`, or the name of the defect.
  public var outcome: String
  /// All bytes that are sent.
  public var bytes: [UInt8]

  /// Its name.
  public var description: String { name }

  /// Every line of the table, in its order.
  ///
  /// - Throws: ``CorpusError`` for a line that cannot be read, for a file without a line and for a
  ///   line without a file.
  public static func all(in corpus: Corpus) throws -> [Preface] {
    let table = String(decoding: try corpus.bytes(of: "expected.txt"), as: UTF8.self)
    var prefaces: [Preface] = []
    for line in table.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 2 else {
        throw CorpusError(what: "expected.txt has the malformed line: \(line)")
      }
      let bytes = try corpus.bytes(of: words[0] + ".bin")
      prefaces.append(Preface(name: words[0], outcome: words[1], bytes: bytes))
    }
    guard prefaces.map({ $0.name + ".bin" }).sorted() == (try corpus.names()) else {
      throw CorpusError(what: "expected.txt and the files of \(corpus.rawValue) differ")
    }
    return prefaces
  }
}

/// What is wrong with a corpus.
public struct CorpusError: Error, CustomStringConvertible {
  /// The sentence.
  public var what: String

  /// Creates an error with its sentence.
  public init(what: String) { self.what = what }

  /// The sentence.
  public var description: String { what }
}
