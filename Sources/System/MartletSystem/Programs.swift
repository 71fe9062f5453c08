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
  /// The child's signals are neither blocked nor ignored.
  ///
  /// - Returns: The number of the process, which is the caller's to reap.
  /// - Throws: ``SystemError`` when the file cannot be executed, or a process or descriptor is not
  ///   to be had. Library call: `posix_spawn(3)`.
  public func spawn(descriptors: [Int32] = []) throws(SystemError) -> Int32 {
    // Safe: vectors and descriptors outlive the call, which only reads them.
    let result = unsafe withVector(arguments) { arguments in
      unsafe withVector(environment) { environment in
        unsafe descriptors.withUnsafeBufferPointer { numbers in
          unsafe martlet_spawn(
            path,
            arguments,
            environment,
            numbers.baseAddress,
            numbers.count,
            discardsOutput ? 1 : 0,
            hasOwnGroup ? 1 : 0
          )
        }
      }
    }
    return Int32(try check(result, .posixSpawn))
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
