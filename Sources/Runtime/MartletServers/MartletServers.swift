/// Servers whose handler is written once, and run by events, by threads, by a pool of threads or by processes.
///
/// Their one difficulty is that a handler waits in the same words everywhere: a thread or a process that serves one
/// connection has a loop of its own for it, and nothing else runs there.
///
/// ```swift
/// let server = try TCPServer(port: 7007) { connection in
///   while let line = try await connection.line() { try await connection.write(line + "\n") }
/// }
/// try server.run()
/// ```
import MartletLoop
