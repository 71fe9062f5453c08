// The form of an HTTP message that every version of the protocol fills: heads, fields, methods,
// status codes, dates.
//
// Its one difficulty is that nothing is copied: a head is a set of `ByteRange` values over bytes
// that the caller keeps, and what the bytes mean for framing and routing (`BodyLength`,
// `RequestHead.authority`, `ConnectionOptions`) is decided once, so that no later code reads a
// field a second time and differently.
//
//     let type = head.first(.contentType)
//     let isJSON = type.map { line in
//       equalIgnoringCase(bytes.extracting(line.valueRange.range), wanted.span)
//     }
//
// Source: RFC 9110.
