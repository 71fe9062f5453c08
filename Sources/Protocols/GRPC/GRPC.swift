// gRPC as far as whoever stands between client and server has to know it: statuses, deadlines, the words
// of the health service, and the form for browsers.
//
// The module's one difficulty is that gRPC tells the outcome of a call behind the answer, where HTTP tells
// it in front: an intermediary that fails has to say so in the words of the one, and to judge what
// servers say in the words of the other. `CallStatus` goes both ways.
//
// It knows bytes alone: no connection, no clock, and no protocol buffers but the two fields of the health
// service.
//
// Source: the documents PROTOCOL-HTTP2, PROTOCOL-WEB and health-checking of the gRPC project.
