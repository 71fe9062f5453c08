import CLinux

/// A signal, by its number.
public struct ProcessSignal: Hashable, Sendable {
  /// The number, see `signal(7)`.
  public let number: Int32

  /// Creates a signal from its number.
  public init(_ number: Int32) { self.number = number }

  /// `SIGHUP`: read the configuration anew.
  public static let hangUp = Self(SIGHUP)
  /// `SIGINT`: the person at the terminal wants it to end.
  public static let interrupt = Self(SIGINT)
  /// `SIGTERM`: end in good order.
  public static let terminate = Self(SIGTERM)
  /// `SIGABRT`: end, and leave an image of the memory where the system keeps one.
  public static let abort = Self(SIGABRT)
  /// `SIGKILL`: end at once.
  public static let kill = Self(SIGKILL)
  /// `SIGUSR1`: open the log files anew.
  public static let user1 = Self(SIGUSR1)
  /// `SIGUSR2`: exchange the binary.
  public static let user2 = Self(SIGUSR2)
  /// `SIGSTOP`: stand still until ``resume``.
  public static let pause = Self(SIGSTOP)
  /// `SIGCONT`: go on.
  public static let resume = Self(SIGCONT)

  /// Keeps the signals from this thread and those it starts, so that a ``signals(_:)`` descriptor
  /// gets them.
  ///
  /// - Throws: ``SystemError``. Library call: `pthread_sigmask(3)`.
  public static func block(_ signals: [ProcessSignal]) throws(SystemError) {
    let numbers = signals.map(\.number)
    // Safe: the array outlives the call, which only reads it.
    let result = unsafe numbers.withUnsafeBufferPointer { numbers in
      unsafe martlet_block_signals(numbers.baseAddress, numbers.count)
    }
    try check(result, .sigprocmask)
  }
}

extension ProcessSignal: CustomStringConvertible {
  /// The name of the signal, or its number.
  public var description: String {
    switch self {
    case .hangUp: "SIGHUP"
    case .interrupt: "SIGINT"
    case .terminate: "SIGTERM"
    case .abort: "SIGABRT"
    case .kill: "SIGKILL"
    case .user1: "SIGUSR1"
    case .user2: "SIGUSR2"
    case .pause: "SIGSTOP"
    case .resume: "SIGCONT"
    case Self(SIGSEGV): "SIGSEGV"
    case Self(SIGILL): "SIGILL"
    case Self(SIGTRAP): "SIGTRAP"
    case Self(SIGBUS): "SIGBUS"
    default: "signal \(number)"
    }
  }
}

/// How a process ended.
public enum ProcessEnd: Hashable, Sendable, CustomStringConvertible {
  /// It returned this code.
  case code(Int32)
  /// This signal ended it.
  case signal(ProcessSignal)

  /// How it ended, in words.
  public var description: String {
    switch self {
    case .code(let code): "ended with code \(code)"
    case .signal(let signal): "was ended by \(signal)"
    }
  }
}

/// Processes of the machine, by number.
public enum Processes {
  /// The number of this process.
  public static var own: Int32 { martlet_process() }

  /// The user whose rights this process has.
  public static var ownUser: UInt32 { martlet_effective_user() }

  /// Ends this process with a code.
  ///
  /// Library call: `exit(3)`.
  public static func exit(_ code: Int32) -> Never { CLinux.exit(code) }

  /// Lets another thread run on this processor.
  ///
  /// System call: `sched_yield(2)`.
  public static func yieldProcessor() { martlet_yield() }

  /// Sends a signal.
  ///
  /// - Throws: ``SystemError`` when there is no such process or it is not ours.
  ///   System call: `kill(2)`.
  public static func send(_ signal: ProcessSignal, to process: Int32) throws(SystemError) {
    try check(martlet_kill(process, signal.number), .kill)
  }

  /// Limits what a process of this user may use, and lets it leave no core file: seconds of processor time, after
  /// which it is ended, and bytes of memory; 0: as much as it gets.
  ///
  /// - Throws: ``SystemError`` when there is no such process, or it is another user's. System call:
  ///   `prlimit(2)`.
  public static func limit(
    _ process: Int32,
    processorSeconds: UInt64,
    memoryBytes: UInt64
  ) throws(SystemError) {
    try check(martlet_limit(process, processorSeconds, memoryBytes), .prlimit)
  }

  /// Sends a signal to all processes of a group, by the number of the one that leads it.
  ///
  /// - Throws: ``SystemError`` when there is no such group or it is not ours.
  ///   System call: `kill(2)`.
  public static func send(_ signal: ProcessSignal, toGroup leader: Int32) throws(SystemError) {
    precondition(leader > 1, "a group is led by a process")
    try check(martlet_kill_group(leader, signal.number), .kill)
  }

  /// Takes the end of a child that has ended; nil while it runs.
  ///
  /// - Throws: ``SystemError`` when the process is no child. System call: `waitpid(2)`.
  public static func reap(_ process: Int32) throws(SystemError) -> ProcessEnd? {
    let result = martlet_reap(process)
    if result == -Int64(EAGAIN) { return nil }
    return end(of: Int32(try check(result, .waitpid)))
  }

  /// A descriptor that is readable once the process has ended.
  ///
  /// - Throws: ``SystemError`` when there is no such process. System call: `pidfd_open(2)`.
  public static func watch(_ process: Int32) throws(SystemError) -> Descriptor {
    Descriptor(adopting: Int32(try check(martlet_pidfd(process), .pidfdOpen)))
  }

  /// The number of the process that has this one as a child.
  public static var parent: Int32 { martlet_parent() }

  /// Makes the kernel kill this process when the thread ends that has started it.
  ///
  /// - Throws: ``SystemError``. System call: `prctl(2)`, `PR_SET_PDEATHSIG`.
  public static func killWithParent() throws(SystemError) {
    try check(martlet_kill_with_parent(), .prctl)
  }

  /// Makes those children of this process whose own parent has ended, wherever they stand below it; it then has to
  /// reap them, see ``reapAny()``.
  ///
  /// - Throws: ``SystemError``. System call: `prctl(2)`, `PR_SET_CHILD_SUBREAPER`.
  public static func adoptOrphans() throws(SystemError) {
    try check(martlet_adopt_orphans(), .prctl)
  }

  /// Takes the end of any child that has ended; nil when none has, or there is none.
  ///
  /// Who uses this reaps what others wait for: it is for a process that adopts orphans and knows its own
  /// children by number.
  ///
  /// - Throws: ``SystemError``. System call: `waitpid(2)`.
  public static func reapAny() throws(SystemError) -> (process: Int32, end: ProcessEnd)? {
    var status: Int32 = 0
    // Safe: the shim writes one number.
    let result = unsafe martlet_reap_any(&status)
    if result == -Int64(EAGAIN) || result == -Int64(ECHILD) { return nil }
    let process = Int32(try check(result, .waitpid))
    return (process, end(of: status))
  }

  private static func end(of status: Int32) -> ProcessEnd {
    martlet_exited(status) != 0
      ? .code(martlet_exit_code(status)) : .signal(ProcessSignal(martlet_exit_signal(status)))
  }

  /// The children of a process, of all its threads, the oldest of each first.
  ///
  /// See `proc(5)`.
  public static func children(of process: Int32) -> [Int32] {
    Files.names(in: "/proc/\(process)/task").flatMap { thread in
      do throws(SystemError) {
        let text = try Files.read("/proc/\(process)/task/\(thread)/children", limit: 1 << 20)
        return text.split(separator: 0x20).compactMap { Int32(String(decoding: $0, as: UTF8.self)) }
      } catch {
        // It has ended meanwhile.
        return []
      }
    }
  }

  /// Kills a process with all that stand below it; none of them can start another meanwhile.
  ///
  /// A process whose parent has ended before stands below this process if it adopts orphans, and otherwise
  /// nowhere near.
  public static func killTree(_ process: Int32) {
    var found: [Int32] = []
    var rest = [process]
    while let next = rest.popLast(), found.count < 1 << 16 {
      // Who stands still starts nobody: its children are all that it will ever have.
      guard martlet_kill(next, SIGSTOP) == 0 else { continue }
      found.append(next)
      rest += children(of: next)
    }
    for process in found.reversed() { _ = martlet_kill(process, SIGKILL) }
  }

  /// The most memory that this process has ever had, in bytes.
  public static var peakBytes: Int { max(0, Int(martlet_peak_memory())) << 10 }

  /// The bytes that a process has in memory now; nil when there is no such process.
  ///
  /// See `proc(5)`.
  public static func residentBytes(of process: Int32) -> Int? {
    do throws(SystemError) {
      let text = try Files.read("/proc/\(process)/statm", limit: 4096)
      let words = text.split(separator: 0x20)
      guard words.count > 1, let pages = Int(String(decoding: words[1], as: UTF8.self)) else {
        return nil
      }
      return pages << 12
    } catch {
      return nil
    }
  }

  /// Makes the kernel end this process when its parent ends.
  ///
  /// - Throws: ``SystemError``. System call: `prctl(2)`.
  public static func endWithParent() throws(SystemError) {
    try check(martlet_die_with_parent(), .prctl)
  }
}

extension Descriptor {
  /// A descriptor that the blocked signals come from.
  ///
  /// - Throws: ``SystemError`` when no descriptor is to be had. System call: `signalfd(2)`.
  public static func signals(_ signals: [ProcessSignal]) throws(SystemError) -> Descriptor {
    let numbers = signals.map(\.number)
    // Safe: the array outlives the call, which only reads it.
    let result = unsafe numbers.withUnsafeBufferPointer { numbers in
      unsafe martlet_signalfd(numbers.baseAddress, numbers.count)
    }
    return Descriptor(adopting: Int32(try check(result, .signalfd)))
  }

  /// The next signal that came in; nil if there is none yet.
  ///
  /// - Throws: ``SystemError``. System call: `read(2)`.
  public borrowing func nextSignal() throws(SystemError) -> ProcessSignal? {
    let result = martlet_next_signal(number)
    if result == -Int64(EAGAIN) { return nil }
    return ProcessSignal(Int32(try check(result, .read)))
  }
}

/// A user with whose rights a process can run.
public struct UserRights: Hashable, Sendable {
  /// The user's number.
  public var user: UInt32
  /// The group's number.
  public var group: UInt32

  /// Looks a user up, and a group if it is not the user's own.
  ///
  /// - Throws: ``SystemError`` with code 2 (ENOENT) when there is no such user or group; its call
  ///   tells which. Library calls: `getpwnam_r(3)`, `getgrnam_r(3)`.
  public init(user name: String, group groupName: String? = nil) throws(SystemError) {
    var user: UInt32 = 0
    var group: UInt32 = 0
    // Safe: the shims write one number each.
    try check(unsafe martlet_find_user(name, &user, &group), .getpwnam)
    if let groupName { try check(unsafe martlet_find_group(groupName, &group), .getgrnam) }
    self.user = user
    self.group = group
  }

  /// Gives up this process' rights for these, for good.
  ///
  /// - Throws: ``SystemError`` when this process may not, or could take its rights back.
  ///   System calls: `setgroups(2)`, `setresgid(2)`, `setresuid(2)`.
  public func assume() throws(SystemError) {
    try check(martlet_become(user, group), .setuid)
  }

  /// Keeps this process and its children from gaining rights by executing a program.
  ///
  /// - Throws: ``SystemError``. System call: `prctl(2)`, `PR_SET_NO_NEW_PRIVS`.
  public static func forbidNewRights() throws(SystemError) {
    try check(martlet_no_new_privileges(), .prctl)
  }
}
