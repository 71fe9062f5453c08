/// Answers about the running process over HTTP, for monitoring: `/metrics`, `/status`.
///
/// It is meant for a Unix socket or an address that only the operator reaches, and does no more than
/// it must: a GET of a page, one for each connection. The one difficulty is that whoever does reach
/// it must not be able to use up the process: heads, times and connections are bounded.
///
/// ```swift
/// let server = try AdminServer(socket, on: loop) { path in
///   path == "/metrics" ? AdminPage(.metrics, server.metrics()) : nil
/// }
/// ```
import MartletLoop
import MartletNet
import MartletSystem
