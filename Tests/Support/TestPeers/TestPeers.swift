/// What end-to-end tests are made of: real processes, raw connections, and members that do exactly
/// what a test says.
///
/// Its one difficulty is that everything a test starts must end with it, even when it fails: a
/// ``Rig`` owns the processes, members and files of one test, and ends them when its closure is
/// left. Nothing has a fixed port, and nothing waits for time to pass: a wait is for a connection,
/// for bytes or for a line of output, and every wait has a limit.
///
/// ```swift
/// try await Rig.run { rig in
///   let member = try rig.member { wire in
///     while try wire.receiveRequest() != nil { try wire.send(text: "HTTP/1.1 204 No Content\r\n\r\n") }
///   }
///   let martlet = try rig.martlet(to: [member.endpoint])
///   let client = try Wire(to: martlet.endpoint)
///   try client.send(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
///   #expect(try client.receiveAnswer().status == 204)
/// }
/// ```
import Foundation

/// What went wrong with a peer.
public struct PeerError: Error, CustomStringConvertible {
  /// The sentence.
  public var description: String

  /// Creates an error with its sentence.
  public init(_ description: String) { self.description = description }
}

/// How long a test waits for what must happen.
public let patience: Duration = .seconds(20 * slowness)

/// Whether the tests, and the Martlet beside them, were built for a sanitizer: such builds stand in
/// another folder than `.build`, take several times as long, and hold several times the memory.
public let isSanitized: Bool = {
  let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  return !tests.path.hasPrefix(repository.path + "/.build/")
}()

/// Whether the sanitizer is that of threads, which makes a fork of each vfork: nobody is told why a program
/// did not start.
public let forksAlways = isSanitized && ProcessInfo.processInfo.environment["TSAN_OPTIONS"] != nil

/// How much longer than usual everything may take.
public let slowness = isSanitized ? 5 : 1

/// How much more memory than usual a process may take.
public let memoryFactor = isSanitized ? 16 : 1

/// The folder of the repository.
let repository = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

extension Duration {
  /// The whole milliseconds of this duration.
  var milliseconds: Int32 {
    Int32(components.seconds) * 1000 + Int32(components.attoseconds / 1_000_000_000_000_000)
  }
}
