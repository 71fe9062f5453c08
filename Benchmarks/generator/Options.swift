import Glibc

/// What one run of the generator does, from its command line.
struct Options {
  /// The port on 127.0.0.1 that is asked; there is no way to name another machine.
  var port: UInt16 = 0
  /// Request targets, asked for in turn.
  var paths = ["/"]
  /// Host names, asked for in turn.
  var hosts = ["localhost"]
  /// Connections open at a time.
  var connections = 64
  /// Requests a second that are meant to start, whatever the answers do; 0: as fast as answers come.
  var rate = 0.0
  /// How long requests start, in seconds.
  var seconds = 5.0
  /// Time at the start whose answers are not recorded, in seconds.
  var warmup = 0.0
  /// The length of windows of the monotonic clock, in seconds, of which every other one, that with an odd
  /// number, has its answers timed apart; 0: there are none.
  var window = 0.0
  /// Whether each request has a connection of its own.
  var closes = false
  /// How long an answer may take, in seconds.
  var timeout = 10.0
  /// The length every body must have; -1: any.
  var bodyBytes = -1

  /// Reads a command line; the sentence of the failure says what is wrong.
  static func parse(_ words: ArraySlice<String>) -> Result<Options, OptionError> {
    var options = Options()
    var rest = words
    while let word = rest.popFirst() {
      if word == "--close" {
        options.closes = true
        continue
      }
      guard let value = rest.popFirst() else {
        return .failure(OptionError(sentence: "\(word) needs a value"))
      }
      guard options.set(word, to: value) else {
        return .failure(OptionError(sentence: "\(word) \(value) is not understood"))
      }
    }
    guard options.port != 0, (1...10_000).contains(options.connections) else {
      return .failure(OptionError(sentence: "give --port, and --connections from 1 to 10000"))
    }
    guard options.seconds > 0, options.seconds <= 3600 else {
      return .failure(OptionError(sentence: "--seconds goes up to 3600"))
    }
    guard options.window >= 0, options.window <= 3600 else {
      return .failure(OptionError(sentence: "--window goes up to 3600"))
    }
    return .success(options)
  }

  private mutating func set(_ name: String, to value: String) -> Bool {
    switch name {
    case "--port": return assign(\.port, UInt16(value))
    case "--path": return assign(\.paths, value.split(separator: ",").map(String.init))
    case "--host": return assign(\.hosts, value.split(separator: ",").map(String.init))
    case "--connections": return assign(\.connections, Int(value))
    case "--rate": return assign(\.rate, Double(value))
    case "--seconds": return assign(\.seconds, Double(value))
    case "--warmup": return assign(\.warmup, Double(value))
    case "--window": return assign(\.window, Double(value))
    case "--timeout": return assign(\.timeout, Double(value))
    case "--body-bytes": return assign(\.bodyBytes, Int(value))
    default: return false
    }
  }

  private mutating func assign<Value>(
    _ path: WritableKeyPath<Options, Value>,
    _ value: Value?
  ) -> Bool {
    guard let value else { return false }
    self[keyPath: path] = value
    return true
  }
}

/// A command line that is not understood.
struct OptionError: Error {
  var sentence: String
}
