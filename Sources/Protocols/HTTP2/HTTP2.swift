// HTTP/2 on the wire: bytes in, events and bytes out. RFC 9113, RFC 7541, RFC 8441, RFC 9218.
//
// The module's one difficulty is that one connection carries many messages, and that its peer may
// make any of them cost more than it is worth. Three habits see to it. What a peer can make us do
// without doing anything useful itself is paid from a budget, each with a name (`Excess`). A head is
// judged field by field while it is decompressed, and leaves this module as the text of HTTP/1.1,
// which the one strict parser of the exchange reads again: so nothing that one version of HTTP reads
// differently from another gets through. And everything that is to be sent is gathered, so that a
// turn of the loop writes once.
//
// There is no loop, no socket and no clock in it: the time is a number that the caller passes on.
//
//     var machine = ConnectionMachine(.server, limits: ConnectionLimits())
//     var offset = 0
//     while let event = try machine.next(in: buffer.span, at: &offset, now: nanoseconds) {
//       switch event {
//       case .head(let stream, let isLast): machine.fields.head is the request's head
//       case .data(let stream, let range, let isLast): these bytes of the buffer are its body
//       …
//       }
//     }
//     // keep what lies behind offset, send machine.takeOutput(), read more
