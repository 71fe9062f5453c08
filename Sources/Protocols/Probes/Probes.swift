/// What is said to a server to learn whether it serves, and what its answer means.
///
/// Each probe is a value without I/O: it tells the bytes to send, takes the bytes that come, in any
/// pieces, and gives its verdict as soon as no further byte could change it. The one difficulty is
/// that a server which is to be checked may be broken in any way: every probe reads a bounded number
/// of bytes, and whatever it does not understand is a failure with a reason, never a wait.
///
/// ```swift
/// var probe = RedisProbe()
/// send(RedisProbe.opening)
/// while true {
///   let bytes = receive()
///   if let verdict = bytes.isEmpty ? probe.end() : probe.receive(bytes.span) { return verdict }
/// }
/// ```
import HTTP1
import HTTPMessage
