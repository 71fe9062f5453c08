import Configuration
import MartletSystem
import Supervision

/// The requests of an access log, in either form, in the order in which they began.
struct AccessLogReader {
  /// What a line says of a request.
  struct Entry {
    var time: Int64 = 0
    var nanoseconds: Int64 = 0
    var client = ""
    var method = ""
    var target = ""
    var host = ""
    /// Nil where the log does not say it.
    var upstream: String?
    var member = ""
  }

  /// The requests.
  let entries: [Entry]
  /// How many lines could not be read.
  let unreadCount: Int

  private static let byteLimit = 1 << 30

  /// Reads a log of at most a gigabyte.
  ///
  /// - Throws: ``CommandFailure`` when the file cannot be read.
  init(_ path: String) throws(CommandFailure) {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try Files.read(path, limit: Self.byteLimit)
    } catch {
      throw CommandFailure(.failure, "cannot read \(path): \(error)")
    }
    var entries: [Entry] = []
    var unreadCount = 0
    for line in bytes.split(separator: 0x0A) where !line.isEmpty {
      if let entry = line.first == UInt8(ascii: "{") ? Self.json(line) : Self.combined(line) {
        entries.append(entry)
      } else {
        unreadCount += 1
      }
    }
    // Lines are written when requests end; equal times keep their order.
    self.entries = entries.enumerated().sorted { left, right in
      (left.element.time, left.offset) < (right.element.time, right.offset)
    }.map(\.element)
    self.unreadCount = unreadCount
  }

  private static func json(_ line: ArraySlice<UInt8>) -> Entry? {
    guard let client = text("client", line), let target = text("target", line) else { return nil }
    var entry = Entry()
    entry.client = client
    entry.target = target
    entry.method = text("method", line) ?? ""
    entry.host = text("host", line) ?? ""
    entry.upstream = text("upstream", line)
    entry.member = text("member", line) ?? ""
    entry.time = text("time", line).flatMap(time) ?? 0
    entry.nanoseconds = seconds("\"total\":", line)
    return entry
  }

  /// The text of a member; quotes inside of texts are escaped, so its name stands once.
  private static func text(_ name: String, _ line: ArraySlice<UInt8>) -> String? {
    guard var at = end(of: Array("\"\(name)\":\"".utf8), in: line) else { return nil }
    var bytes: [UInt8] = []
    while at < line.endIndex, line[at] != UInt8(ascii: "\"") {
      if line[at] == UInt8(ascii: "\\"), at + 1 < line.endIndex { at += 1 }
      bytes.append(line[at])
      at += 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func seconds(_ name: String, _ line: ArraySlice<UInt8>) -> Int64 {
    guard let start = end(of: Array(name.utf8), in: line) else { return 0 }
    let digits = line[start...].prefix { (0x30...0x39).contains($0) || $0 == 0x2E }
    return Int64((Double(String(decoding: digits, as: UTF8.self)) ?? 0) * 1e9)
  }

  private static func end(of name: [UInt8], in line: ArraySlice<UInt8>) -> Int? {
    guard line.count >= name.count else { return nil }
    for start in line.startIndex...line.endIndex - name.count
    where line[start] == name[0] && line[start..<start + name.count].elementsEqual(name) {
      return start + name.count
    }
    return nil
  }

  /// Nanoseconds since 1970 of `2026-01-31T12:00:00.123Z`.
  private static func time(_ text: String) -> Int64? {
    let parts = text.split { !"0123456789".contains($0) }.prefix(7).map(String.init)
    let numbers = parts.compactMap { Int64($0) }
    guard numbers.count == parts.count, numbers.count >= 6 else { return nil }
    let (year, month, day) = (numbers[0], numbers[1], numbers[2])
    // Days by the rule of the Gregorian calendar, with the year beginning in March.
    let march = month > 2 ? year : year - 1
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let days = march * 365 + march / 4 - march / 100 + march / 400 + dayOfYear - 719_468
    var nanoseconds: Int64 = 0
    if parts.count == 7 {
      nanoseconds = Int64((parts[6] + "000000000").prefix(9)) ?? 0
    }
    return (((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5]) * 1_000_000_000
      + nanoseconds
  }

  /// `client - - [time] "METHOD target version" …`; what it took is not told.
  private static func combined(_ line: ArraySlice<UInt8>) -> Entry? {
    let text = String(decoding: line, as: UTF8.self)
    let quoted = text.split(separator: "\"", maxSplits: 2, omittingEmptySubsequences: false)
    guard quoted.count > 1, let client = text.split(separator: " ").first else { return nil }
    let words = quoted[1].split(separator: " ")
    guard words.count >= 2 else { return nil }
    var entry = Entry()
    entry.client = String(client)
    entry.method = String(words[0])
    entry.target = String(words[1])
    return entry
  }
}

extension AccessLogReader.Entry {
  /// What a key was for the request.
  ///
  /// - Throws: ``CommandFailure`` for a variable that no log tells.
  func text(of key: Template) throws(CommandFailure) -> String {
    var text = ""
    for part in key.parts {
      switch part {
      case .literal(let bytes): text += String(decoding: bytes, as: UTF8.self)
      case .variable(let variable): text += try value(of: variable)
      }
    }
    return text
  }

  private var pathAndQuery: (path: Substring, query: Substring) {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    return (parts[0], parts.count > 1 ? parts[1] : "")
  }

  private func value(of variable: Variable) throws(CommandFailure) -> String {
    switch variable {
    case .clientAddress: return client
    case .requestMethod: return method
    case .requestTarget: return target
    case .requestPath: return String(pathAndQuery.path)
    case .requestQuery: return String(pathAndQuery.query)
    case .requestHost:
      return String(host.split(separator: ":").first ?? "").lowercased()
    case .queryParameter(let name):
      for pair in pathAndQuery.query.split(separator: "&") where pair.hasPrefix("\(name)=") {
        return String(pair.dropFirst(name.count + 1))
      }
      return ""
    default:
      throw CommandFailure(.usage, "an access log does not tell `{\(variable.name)}`")
    }
  }
}
