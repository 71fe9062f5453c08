/// Streams, datagrams and listeners over TCP, UDP and Unix sockets, on an event loop.
///
/// Its one difficulty is memory: a stream that waits holds no buffer. Reading waits first and takes
/// a buffer of the loop only when bytes are there; the buffer goes back when it is dropped.
///
/// ```swift
/// let stream = try await Stream.connect(to: address, on: loop, by: deadline)
/// try await stream.write(Array("hello\n".utf8), by: deadline)
/// let answer = try await stream.read(.head, by: deadline)  // empty: the other side closed
/// ```
