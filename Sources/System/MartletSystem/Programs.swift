import CLinux

/// A program with its arguments and its environment.
public struct Program: Hashable, Sendable {
  /// Where its file is.
  public var path: String
  /// The arguments; the first is the name the program is called by.
  public var arguments: [String]
  /// The environment, each entry as `NAME=value`.
  public var environment: [String]

  /// Whether what it writes to its standard output is lost.
  public var discardsOutput = false
  /// Whether it leads a group of processes of its own, so that those that it starts can be ended with
  /// it; a terminal's Ctrl-C does not reach them.
  public var hasOwnGroup = false
  /// Whether it leads a session of its own: no terminal is its own, and none sends it signals.
  public var hasOwnSession = false
  /// Whether it is killed when the thread ends that has started it.
  public var endsWithParent = false
  /// The folder that it works in; nil: that of this process.
  public var folder: String?
  /// The user with whose rights it runs; nil: those of this process.
  public var rights: UserRights?
  /// What it may use; those that it starts inherit this.
  public var limits: [ResourceLimit] = []
  /// Its standard input, output and error.
  public var standard = StandardDescriptors()

  /// Creates a program that is called by its path and inherits this process' environment.
  public init(_ path: String, arguments: [String] = []) {
    self.init(path, arguments: [path] + arguments, environment: Self.ownEnvironment)
  }

  /// Creates a program.
  public init(_ path: String, arguments: [String], environment: [String]) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
  }

  /// Sets a variable of the environment, in place of an earlier value.
  public mutating func set(_ name: String, to value: String?) {
    environment.removeAll { $0.hasPrefix("\(name)=") }
    if let value { environment.append("\(name)=\(value)") }
  }

  /// The environment of this process.
  public static var ownEnvironment: [String] {
    var entries: [String] = []
    // Safe: nothing in this process changes its environment; the list ends with NULL.
    guard var next = unsafe martlet_environment() else { return [] }
    while let entry = unsafe next.pointee {
      entries.append(unsafe String(cString: entry))
      unsafe next += 1
    }
    return entries
  }

  /// The value of a variable of this process' environment.
  public static func ownVariable(_ name: String) -> String? {
    ownEnvironment.first { $0.hasPrefix("\(name)=") }.map {
      String($0.dropFirst(name.utf8.count + 1))
    }
  }

  /// Starts the program with `descriptors` as its numbers from 3 on, and no others above 2.
  ///
  /// The child's signals are neither blocked nor ignored. It takes no time to speak of that this process is
  /// large.
  ///
  /// - Returns: The number of the process, which is the caller's to reap.
  /// - Throws: ``SystemError`` when the file cannot be executed, a limit cannot be set, the folder is not
  ///   there, this process may not take the rights, or a process or descriptor is not to be had; its call
  ///   tells which. System calls: `vfork(2)`, `execve(2)`.
  public func spawn(descriptors: [Int32] = []) throws(SystemError) -> Int32 {
    var step: Int32 = 0
    let limits = limits.map {
      martlet_resource_limit(kind: $0.kind.number, soft: $0.soft, hard: $0.hard)
    }
    // Safe: vectors, strings and arrays outlive the call, which only reads them.
    let result = unsafe withVector(arguments) { arguments in
      unsafe withVector(environment) { environment in
        unsafe withText(folder) { folder in
          unsafe descriptors.withUnsafeBufferPointer { numbers in
            unsafe limits.withUnsafeBufferPointer { limits in
              var plan = unsafe martlet_start()
              unsafe plan.folder = folder
              unsafe plan.standard = (
                standard.input.number, discardsOutput ? -2 : standard.output.number,
                standard.error.number
              )
              unsafe plan.descriptors = numbers.baseAddress
              unsafe plan.descriptor_count = numbers.count
              unsafe plan.has_own_group = hasOwnGroup ? 1 : 0
              unsafe plan.has_own_session = hasOwnSession ? 1 : 0
              unsafe plan.ends_with_parent = endsWithParent ? 1 : 0
              unsafe plan.has_user = rights == nil ? 0 : 1
              unsafe plan.user = rights?.user ?? 0
              unsafe plan.group = rights?.group ?? 0
              unsafe plan.limits = limits.baseAddress
              unsafe plan.limit_count = limits.count
              return unsafe martlet_start_program(path, arguments, environment, &plan, &step)
            }
          }
        }
      }
    }
    return Int32(try check(result, Self.call(of: step)))
  }

  /// What has failed, by the step of the start.
  private static func call(of step: Int32) -> SystemError.Call {
    switch step {
    case Int32(martlet_step_folder): .chdir
    case Int32(martlet_step_limit): .setrlimit
    case Int32(martlet_step_user): .setuid
    case Int32(martlet_step_execute): .execve
    default: .vfork
    }
  }

  /// Starts the program in a folder, with these descriptors as its standard input, output and error, and no
  /// others; reading and writing wait there.
  ///
  /// It leads a group of processes of its own, whatever ``hasOwnGroup`` says. The child's signals are neither
  /// blocked nor ignored.
  ///
  /// - Returns: The number of the process, which is the caller's to reap.
  /// - Throws: ``SystemError`` as ``spawn(descriptors:)``. Library call: `posix_spawn(3)`.
  public func spawn(
    in folder: String,
    input: borrowing Descriptor,
    output: borrowing Descriptor,
    error: borrowing Descriptor
  ) throws(SystemError) -> Int32 {
    let numbers = (input.number, output.number, error.number)
    // Safe: vectors and strings outlive the call, which only reads them.
    let result = unsafe withVector(arguments) { arguments in
      unsafe withVector(environment) { environment in
        unsafe martlet_spawn_piped(
          path,
          arguments,
          environment,
          folder,
          numbers.0,
          numbers.1,
          numbers.2
        )
      }
    }
    return Int32(try check(result, .posixSpawn))
  }

  /// Replaces what this process runs by the program; see ``Descriptor/setCloseOnExecute(_:)`` for
  /// what it inherits.
  ///
  /// Blocked signals stay blocked, so none that comes meanwhile is lost or ends the process.
  ///
  /// - Throws: ``SystemError`` when the file cannot be executed; this process then goes on.
  ///   System call: `execve(2)`.
  public func execute() throws(SystemError) -> Never {
    // Safe: the vectors outlive the call, which only reads them.
    let result = unsafe withVector(arguments) { arguments in
      unsafe withVector(environment) { environment in
        unsafe martlet_execute(path, arguments, environment)
      }
    }
    throw SystemError(.execve, Int32(truncatingIfNeeded: -result))
  }
}

/// Calls `body` with a text as C wants it, or with NULL.
private func withText<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result
{
  guard let text else { return body(nil) }
  // Safe: the text outlives the call.
  return unsafe text.withCString(body)
}

/// Calls `body` with the strings as C wants them: pointers to zero-ended bytes, and NULL.
private func withVector<Result>(
  _ strings: [String],
  _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  // Safe: every copy lives until the body has returned, and is freed once.
  var copies = unsafe strings.map { unsafe strdup($0) } + [nil]
  defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
  return unsafe body(&copies)
}

/// What a program has as its standard input, output and error.
public struct StandardDescriptors: Hashable, Sendable {
  /// Where one of them goes.
  public enum Place: Hashable, Sendable {
    /// Where that of this process goes.
    case own
    /// Nowhere: nothing comes from it, and what is written is lost.
    case nothing
    /// To a descriptor of this process, which stays its own.
    case descriptor(Int32)

    var number: Int32 {
      switch self {
      case .own: -1
      case .nothing: -2
      case .descriptor(let number): number
      }
    }
  }

  /// What it reads.
  public var input = Place.own
  /// What it writes.
  public var output = Place.own
  /// What it complains of.
  public var error = Place.own

  /// Those of this process, if nothing else is said.
  public init(input: Place = .own, output: Place = .own, error: Place = .own) {
    self.input = input
    self.output = output
    self.error = error
  }
}

/// How much of something a process may use.
public struct ResourceLimit: Hashable, Sendable {
  /// Of what.
  public enum Kind: Hashable, Sendable {
    /// Seconds of processor time; it is asked to end at the soft limit, and killed at the hard one.
    case processorSeconds
    /// Bytes of memory that are its own.
    case memoryBytes
    /// Bytes of addresses, what is mapped and never touched included.
    case addressBytes
    /// One more than the highest number of a descriptor.
    case descriptors
    /// Bytes of a file that it writes.
    case fileBytes
    /// Bytes of the image that a crash leaves.
    case coreBytes
    /// Processes and threads of its user.
    case processes

    var number: Int32 {
      switch self {
      case .processorSeconds: martlet_limit_processor
      case .memoryBytes: martlet_limit_memory
      case .addressBytes: martlet_limit_addresses
      case .descriptors: martlet_limit_descriptors
      case .fileBytes: martlet_limit_file
      case .coreBytes: martlet_limit_core
      case .processes: martlet_limit_processes
      }
    }
  }

  /// Of what.
  public var kind: Kind
  /// How much it gets.
  public var soft: UInt64
  /// How far it may raise that itself.
  public var hard: UInt64

  /// Creates a limit; without a hard one it cannot be raised.
  public init(_ kind: Kind, _ soft: UInt64, hard: UInt64? = nil) {
    self.kind = kind
    self.soft = soft
    self.hard = hard ?? soft
  }

  /// Puts this limit on the calling process.
  ///
  /// - Throws: ``SystemError``. System call: `setrlimit(2)`.
  public func apply() throws(SystemError) {
    try check(martlet_set_limit(kind.number, soft, hard), .setrlimit)
  }
}
