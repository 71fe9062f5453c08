/// Tables of comma-separated values, record by record, however the bytes are cut.
///
/// Its one difficulty is that a line end inside quotes ends nothing: a table cannot be cut at its lines, so
/// it is read from its beginning, once, with no more held than one record.
///
/// ```swift
/// var reader = CSVReader()
/// var offset = 0
/// while case .record = try reader.next(in: bytes.span, at: &offset) { use(reader.fields) }
/// ```
