/// The edge: connections come in, exchanges are routed, answered or passed to an upstream.
///
/// Everything that serves requests lives on one event loop and never leaves it: a ``Worker`` with
/// its connections, exchanges and pools. What loops share is immutable (a ``Generation``) or atomic
/// (a ``Member``'s count). The one difficulty is what happens when something breaks half-way: every
/// failure is an ``ExchangeError`` that says which status fits and whether another member may be
/// asked.
///
/// ```swift
/// let server = try EdgeServer(loopCount: 2)
/// try await server.publish(generation, listeners: sockets)
/// await server.drain(limit: .seconds(30))
/// ```
import MartletLoop
