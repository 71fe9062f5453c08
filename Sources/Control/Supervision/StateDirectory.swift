import MartletSystem

/// The private directory of one instance: its control socket and the lock that keeps a second out.
public struct StateDirectory: Hashable, Sendable {
  /// Where it is.
  public let path: String

  /// Names a directory.
  public init(_ path: String) { self.path = path }

  /// Where the directory is when nobody says: in `/run` for root, else in `XDG_RUNTIME_DIR`, else
  /// in `/tmp` with the user's number.
  public static var usual: StateDirectory {
    let user = Processes.ownUser
    if user == 0 { return StateDirectory("/run/martlet") }
    if let runtime = Program.ownVariable("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") {
      return StateDirectory("\(runtime)/martlet")
    }
    return StateDirectory("/tmp/martlet-\(user)")
  }

  /// The path of the control socket.
  public var controlSocket: String { "\(path)/control.sock" }

  /// The path of the lock file, which holds the number of the process that has it.
  public var lockFile: String { "\(path)/lock" }

  /// Makes the directory if it is not there, and checks that nobody else can change it.
  ///
  /// - Throws: ``CommandFailure`` with the place and the mend.
  public func prepare() throws(CommandFailure) {
    guard controlSocket.utf8.count <= SocketAddress.pathBytes else {
      throw CommandFailure(
        .failure,
        "the state directory \(path) has too long a path for a socket in it (at most "
          + "\(SocketAddress.pathBytes - 13) bytes): name a shorter one with --state-directory"
      )
    }
    do throws(SystemError) {
      if try Files.makePrivateDirectory(path) { return }
    } catch {
      throw CommandFailure(
        error.isAboutRights ? .noRight : .failure,
        "cannot make the state directory \(path): \(error); name another with --state-directory"
      )
    }
    try check()
  }

  /// Checks that the directory is there and nobody else can change it.
  ///
  /// - Throws: ``CommandFailure`` with the place and the mend.
  public func check() throws(CommandFailure) {
    let status: Files.Status
    do throws(SystemError) {
      status = try Files.status(of: path)
    } catch {
      throw CommandFailure(.notRunning, "there is no state directory \(path): \(error)")
    }
    guard status.isDirectory else {
      throw CommandFailure(.failure, "the state directory \(path) is no directory: remove it")
    }
    // Root may speak to the instance of any user.
    guard status.user == Processes.ownUser || Processes.ownUser == 0 else {
      throw CommandFailure(
        .noRight,
        "the state directory \(path) belongs to user \(status.user): name another with "
          + "--state-directory, or act as that user"
      )
    }
    guard status.rights & 0o077 == 0 else {
      throw CommandFailure(.noRight, "others can enter the state directory: chmod 700 \(path)")
    }
  }

  /// Removes it when its instance has ended; one in which something else is stays.
  public func remove() {
    do throws(SystemError) {
      try Files.remove(lockFile)
      try Files.removeDirectory(path)
    } catch {
      // It serves as it is the next time.
      return
    }
  }

  /// Takes the lock for this process.
  ///
  /// - Throws: ``CommandFailure`` with the number of the process that has it.
  func lock() throws(CommandFailure) -> OpenFile {
    do throws(SystemError) {
      let file = OpenFile(try Descriptor.openShared(lockFile))
      if try file.descriptor.lock() {
        try file.descriptor.replaceContent(by: Array("\(Processes.own)\n".utf8))
        return file
      }
      let holder = String(decoding: try file.descriptor.readAll(limit: 100), as: UTF8.self)
        .prefix { $0.isNumber }
      throw SystemError(.flock, Int32(holder) ?? 0)
    } catch {
      guard error.call == .flock else {
        throw CommandFailure(.failure, "cannot lock \(lockFile): \(error)")
      }
      throw CommandFailure(
        .alreadyRunning,
        "Martlet runs already with the state directory \(path)"
          + (error.code > 0 ? " (process \(error.code))" : "")
          + ": end it with `martlet stop`, or give this one its own with --state-directory"
      )
    }
  }
}

extension SystemError {
  /// Whether the kernel refused for want of a right.
  var isAboutRights: Bool { code == 1 || code == 13 || code == 30 }
}
