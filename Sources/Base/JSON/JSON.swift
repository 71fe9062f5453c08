/// Values of JSON, read from bytes and written as text.
///
/// This is the one type for JSON that is kept or looked into; records that are written again and
/// again, as those of logs, go straight to bytes (`MartletTelemetry.JSONWriter`). The one difficulty
/// is that texts come from outside: length, depth and the count of values are bounded, and what two
/// readers could understand differently, as a name that stands twice, is refused.
///
/// ```swift
/// let value = try JSONValue(parsing: Array(#"{"weight": 2}"#.utf8))
/// value["weight"]  // .number(2)
/// value.compact    // {"weight":2}
/// ```
