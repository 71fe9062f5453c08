/// One message between the supervisor and an edge process.
public enum HandoverMessage: Hashable, Sendable {
  /// To the edge: serve this from now on.
  case generation(GenerationOffer)
  /// To the edge: these logs were opened anew, each with one descriptor.
  case logs([String])
  /// To the edge: accept no more, and end when no connection is left, or at the limit.
  ///
  /// With `closesIdle` connections on which no request is under way are closed at once; else their
  /// clients may send one more.
  case drain(limit: Duration, closesIdle: Bool)
  /// To the edge: end now.
  case stop
  /// To the edge: send a report.
  case ask
  /// To the edge: what is different from each configuration that is offered.
  ///
  /// Only to an edge that answers calls: see ``HandoverLimits/callLevel``.
  case changes(RuntimeState)
  /// To the edge: perform a method and answer with this number.
  ///
  /// Only to an edge that answers calls: see ``HandoverLimits/callLevel``.
  case call(number: UInt32, method: String, arguments: [UInt8])
  /// To the edge: a process runs this application now, with so many sockets.
  ///
  /// Its descriptors are where it takes requests, what it prints, and where its answers to each loop come
  /// from.
  case worker(application: String, process: Int32, socketCount: Int)
  /// To the edge: give the process nothing more, and let go of it when it has answered what it has.
  case retireWorker(application: String, process: Int32)
  /// To the edge: the process has ended.
  case workerEnded(application: String, process: Int32)
  /// From the edge: the process takes too long for a request.
  case workerHangs(application: String, process: Int32)
  /// From the edge: the application is to have so many processes.
  case workersWanted(application: String, count: Int)
  /// From the edge: this generation is served.
  case ready(generation: UInt64)
  /// From the edge: this generation cannot be served; the earlier one still is.
  case refused(generation: UInt64, reason: String)
  /// From the edge: nothing is under way any more.
  case drained
  /// From the edge: its state, as a JSON object and as lines for people.
  case report(json: String, text: String)
  /// From the edge, again and again: all its loops turn.
  case alive
  /// From the edge: what came of the call of this number, and what is different now; nil: the same as
  /// before.
  case answer(number: UInt32, outcome: [UInt8], changes: RuntimeState?)

  /// How many descriptors go with the message.
  public var descriptorCount: Int {
    switch self {
    case .generation(let offer): offer.listeners.count + offer.logs.count
    case .logs(let keys): keys.count
    case .worker(_, _, let count): count
    default: 0
    }
  }
}

/// What an edge is to serve.
///
/// Its descriptors are those of the listeners, then those of the logs, in order.
public struct GenerationOffer: Hashable, Sendable {
  /// The number of the generation; a later one has a higher number.
  public var number: UInt64
  /// The configuration, in a form that supervisor and edge agree on.
  public var source: [UInt8]
  /// The addresses of the listening sockets, as the configuration writes them.
  ///
  /// An address stands here once for each of its sockets.
  public var listeners: [String]
  /// The names of the open log files.
  public var logs: [String]

  /// Creates an offer.
  public init(number: UInt64, source: [UInt8], listeners: [String], logs: [String]) {
    self.number = number
    self.source = source
    self.listeners = listeners
    self.logs = logs
  }
}

/// What was changed at run time, in a form that edges agree on and the supervisor need not know.
public struct RuntimeState: Hashable, Sendable {
  /// What outlives reloads; empty: nothing.
  public var kept: [UInt8]
  /// What holds until the next reload; empty: nothing.
  public var untilReload: [UInt8]

  /// Creates a state; if nothing is said, one in which nothing was changed.
  public init(kept: [UInt8] = [], untilReload: [UInt8] = []) {
    self.kept = kept
    self.untilReload = untilReload
  }
}

/// Why the other side cannot be understood, or is gone.
public enum HandoverError: Error, Hashable, Sendable {
  /// The bytes do not begin a message.
  case notAMessage
  /// The other side speaks this version of the protocol.
  case otherVersion(UInt8)
  /// No message has this number.
  case unknownMessage(UInt8)
  /// A message is longer than ``HandoverLimits/messageBytes``, or a part of it than its limit.
  case tooLong
  /// A message has more descriptors than ``HandoverLimits/descriptorCount``.
  case tooManyDescriptors
  /// The parts of a message do not fill it, or are not in form.
  case malformed
  /// As many descriptors came as the message does not have.
  case wrongDescriptors
  /// The other side takes too long to read what is sent to it.
  case congested
  /// The deadline came first.
  case timedOut
  /// The loop ended the wait.
  case cancelled
  /// The connection is broken.
  case broken
}

/// Bounds of what is read from the other process.
public enum HandoverLimits {
  /// The longest message in bytes: 16 MiB.
  public static let messageBytes = 16 << 20
  /// The most descriptors of one message.
  public static let descriptorCount = 512
  /// The longest name of a listener or log, in bytes.
  public static let keyBytes = 4096
  /// What an edge understands: level 2 takes calls and changes besides what level 1 takes.
  ///
  /// A supervisor tells its successor the level of an edge that it leaves to it. An edge sends what
  /// belongs to a level only when it was asked in that level, so no side meets a message that it does
  /// not know.
  public static let callLevel = 2
  /// The most messages that wait to be sent.
  public static let waitingCount = 64
}
