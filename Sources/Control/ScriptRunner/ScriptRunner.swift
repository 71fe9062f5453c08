// Runs the scripts of a folder as CGI wants them, for requests that come by FastCGI: one process each.
//
// It is a server of its own, with a user of its own: what scripts may do is not what the process may do that
// talks to the network. Its one difficulty is the end of things: whatever ends a request, its client, its time or
// the script itself, nothing of the script is left behind. So each script leads a group of processes, which is
// killed when the request is over.
//
//     let server = try ScriptServer(ScriptLimits(), root: "/srv/cgi-bin", on: loop) { print($0) }
//     await server.run(listener)
//
// Source: RFC 3875.

/// What scripts may take.
public struct ScriptLimits: Sendable {
  /// How many run at once.
  public var processCount = 16
  /// How long one may take in all.
  public var time = Duration.seconds(60)
  /// How long a connection may wait for a request, and who has asked for the end of an answer.
  public var idleTime = Duration.seconds(60)
  /// How much processor time one may use; nil: as much as it gets.
  public var processorTime: Duration?
  /// How much memory one may have; nil: as much as it gets.
  public var memoryBytes: Int?

  /// Creates the usual limits.
  public init() {}
}
