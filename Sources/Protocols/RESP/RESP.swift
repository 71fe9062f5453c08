/// What is spoken with Redis: commands, and the answers to them, from bytes and to bytes.
///
/// Its one difficulty is that an answer comes in any number of parts: ``RedisReply/read(_:)`` says how many bytes
/// it has, or that there are more to come, and refuses what is longer than it may be before all of it is there.
///
/// ```swift
/// try await stream.write(RedisReply.command([Array("GET".utf8), key]), by: deadline)
/// if let (reply, count) = try RedisReply.read(bytes.span) { … }
/// ```
