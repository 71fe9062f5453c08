/// The language of Martlet's configuration: blocks in braces, one directive a line.
///
/// A caller declares each directive once, as a row of a table: its name, type, bounds, default,
/// sentence and example. From these rows come the reader, its errors, the formatter's knowledge,
/// the reference manual, the words of shell completion and the effective configuration.
///
/// The one difficulty is to say as much as possible about a text that is wrong: nothing here stops
/// at the first error, every statement keeps its place, and every count has a bound.
///
/// ```swift
/// let table = DirectiveTable<Pool>(
///   "pool",
///   "Connections that wait for their next request.",
///   makeDefault: { Pool() },
///   [
///     .value("idle_time", \.idleTime, .duration(within: .seconds(1) ... .seconds(3600)),
///       "How long a connection may wait for its next request.", example: "idle_time 60s")
///   ]
/// )
/// var reading = Reading(SourceBundle(name: "pool.conf", text: "idle_time 5s"))
/// var pool = Pool()
/// table.read(reading.statements(), into: &pool, &reading)
/// ```
// What a table shows to programs is JSON: whoever writes rows needs its values too.
@_exported public import JSON
