import MartletSystem

/// What a supervisor leaves to the binary that it executes in its own place.
///
/// The descriptors stay open; which is which stands in a file without a name, whose number is in the
/// environment. Each line is a word, its numbers, and at the end a text that may hold spaces.
struct InheritedState {
  /// The variable that holds the number of the file.
  static let variable = "MARTLET_UPGRADE"
  private static let version = "martlet-upgrade 1"
  private static let limit = 32 << 20

  var lock: OpenFile
  var control: OpenFile
  /// What edges remember; nil from a binary that did not know of it.
  var memory: OpenFile?
  /// The number of the connection on which the upgrade was asked for.
  var reply: Int32?
  /// The identifier of the call that asked for it, as JSON; nil: it was asked for by a line.
  var replyID: String?
  var edge: (process: Int32, channel: OpenFile)
  /// What the edge understands: see ``HandoverLimits/callLevel``.
  var level: Int
  var generation: UInt64
  var drainLimit: Duration
  var listeners: [OpenListener]
  var logs: [OpenLog]
  var source: [UInt8]
  /// The processes of applications, which end with the edge.
  var workers: [Int32] = []

  /// All descriptors.
  var files: [OpenFile] {
    [lock, control, edge.channel] + (memory.map { [$0] } ?? []) + listeners.flatMap(\.files)
      + logs.map(\.file)
  }

  /// The text for the next binary; nil if a name holds a tab or a line feed.
  var encoded: [UInt8]? {
    let names =
      listeners.map(\.key) + listeners.compactMap(\.unixPath) + logs.flatMap { [$0.key, $0.path] }
    guard !names.contains(where: { $0.utf8.contains(where: { $0 == 0x0A || $0 == 0x09 }) }) else {
      return nil
    }
    var lines = [
      Self.version, "lock \(lock.number)", "control \(control.number)",
      "edge \(edge.process) \(edge.channel.number)", "generation \(generation)",
      "limit \(drainLimit.components.seconds)",
    ]
    if let memory { lines.append("memory \(memory.number)") }
    // An earlier binary passes over words that it does not know.
    lines.append("level \(level)")
    if let reply { lines.append("reply \(reply)") }
    if let replyID { lines.append("call \(replyID)") }
    if !workers.isEmpty {
      lines.append("workers \(workers.map { "\($0)" }.joined(separator: " "))")
    }
    for listener in listeners {
      lines += listener.files.map { "listener \($0.number) \(listener.key)" }
      if let path = listener.unixPath { lines.append("path \(path)") }
    }
    lines += logs.map { "log \($0.file.number) \($0.key)\t\($0.path)" }
    lines.append("source \(source.count)\n")
    return Array(lines.joined(separator: "\n").utf8) + source
  }

  /// What the binary before this one left; nil when this process was started anew.
  ///
  /// - Throws: ``CommandFailure`` when it cannot be read: a process without its state must not run.
  static func take() throws(CommandFailure) -> InheritedState? {
    guard let text = Program.ownVariable(variable) else { return nil }
    let broken = CommandFailure(
      .failure,
      "the variable \(variable) does not name the state of an upgrade: unset it"
    )
    guard let number = Int32(text), number > 2 else { throw broken }
    let state: InheritedState?
    do throws(SystemError) {
      // The number may be anybody's: it is looked at before it is taken over.
      let target = try Files.target(of: "/proc/self/fd/\(number)")
      let bytes =
        target.contains("martlet-upgrade")
        ? try Descriptor(adopting: number).readAll(limit: limit) : []
      state = InheritedState(bytes)
      for file in state?.files ?? [] { try file.descriptor.setCloseOnExecute(true) }
    } catch {
      throw broken
    }
    guard let state else { throw broken }
    return state
  }

  private init?(_ bytes: [UInt8]) {
    var fields: [String: Substring] = [:]
    var listeners: [OpenListener] = []
    var logs: [OpenLog] = []
    var rest = bytes[...]
    var lineCount = 0
    var source: [UInt8]?
    while source == nil {
      guard let end = rest.firstIndex(of: 0x0A) else { return nil }
      let line = String(decoding: rest[..<end], as: UTF8.self)
      rest = rest[(end + 1)...]
      lineCount += 1
      if lineCount == 1 {
        guard line == Self.version else { return nil }
        continue
      }
      let parts = line.split(separator: " ", maxSplits: 1)
      guard parts.count == 2 else { return nil }
      switch parts[0] {
      case "listener", "log":
        let pair = parts[1].split(separator: " ", maxSplits: 1)
        guard pair.count == 2, let file = Self.file(pair[0]) else { return nil }
        let name = String(pair[1])
        if parts[0] == "log" {
          let names = name.split(separator: "\t", omittingEmptySubsequences: false)
          guard names.count == 2 else { return nil }
          logs.append(OpenLog(key: String(names[0]), path: String(names[1]), file: file))
        } else if listeners.last?.key == name {
          listeners[listeners.count - 1].files.append(file)
        } else {
          listeners.append(OpenListener(key: name, files: [file], unixPath: nil))
        }
      case "path":
        guard !listeners.isEmpty else { return nil }
        listeners[listeners.count - 1].unixPath = String(parts[1])
      case "source":
        guard Int(parts[1]) == rest.count else { return nil }
        source = Array(rest)
      default: fields[String(parts[0])] = parts[1]
      }
    }
    let edge = fields["edge"]?.split(separator: " ") ?? []
    guard let source, let lock = fields["lock"].flatMap(Self.file),
      let control = fields["control"].flatMap(Self.file), edge.count == 2,
      let process = Int32(edge[0]), let channel = Self.file(edge[1]),
      let generation = fields["generation"].flatMap({ UInt64($0) }),
      let seconds = fields["limit"].flatMap({ Int64($0) })
    else { return nil }
    self.init(
      lock: lock,
      control: control,
      memory: fields["memory"].flatMap(Self.file),
      reply: fields["reply"].flatMap { Int32($0) },
      replyID: fields["call"].map(String.init),
      edge: (process, channel),
      level: fields["level"].flatMap { Int($0) } ?? 1,
      generation: generation,
      drainLimit: .seconds(seconds),
      listeners: listeners,
      logs: logs,
      source: source
    )
    workers = (fields["workers"] ?? "").split(separator: " ").compactMap { Int32($0) }
  }

  init(
    lock: OpenFile,
    control: OpenFile,
    memory: OpenFile?,
    reply: Int32?,
    replyID: String?,
    edge: (process: Int32, channel: OpenFile),
    level: Int,
    generation: UInt64,
    drainLimit: Duration,
    listeners: [OpenListener],
    logs: [OpenLog],
    source: [UInt8]
  ) {
    self.lock = lock
    self.control = control
    self.memory = memory
    self.reply = reply
    self.replyID = replyID
    self.edge = edge
    self.level = level
    self.generation = generation
    self.drainLimit = drainLimit
    self.listeners = listeners
    self.logs = logs
    self.source = source
  }

  private static func file(_ text: Substring) -> OpenFile? {
    guard let number = Int32(text), number > 2 else { return nil }
    return OpenFile(adopting: number)
  }
}
