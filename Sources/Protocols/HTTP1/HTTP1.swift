// HTTP/1 on the wire: bytes to heads and chunks, and back. RFC 9112.
//
// The module's one difficulty is that no message may be read in two ways. Two habits see to it: a
// defect is refused where it is met, with a reason of its own (`MessageError.Reason`), and what a
// head says about length, host and connection is decided once, when its last line was read. The
// parsers keep no bytes: the caller gives the same bytes again with more behind them, and the search
// goes on where it stopped.
//
//     var parser = RequestParser(limits: HeadLimits())
//     var head = RequestHead()
//     while try !parser.parse(buffer.span, into: &head) { read more into buffer }
//     // head.byteCount bytes of the buffer are used; head.bodyLength says what follows.
