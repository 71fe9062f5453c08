// What precedes a protocol on a connection: the PROXY header, in both of its versions, by which a
// proxy says who its client is; the ClientHello of TLS, which says in clear what the client wants;
// and the first bytes of whatever else comes, which tell one protocol from another.
//
// The module's one difficulty is that all of this is read from strangers before anything is known of
// them, and decides whom they are taken for. So each reader states how many bytes it looks at, takes
// a byte for what two readers could read differently as a defect, and never looks at a byte twice
// that it has judged.
//
//     let header = ProxyHeader(source: .ipv4(0xC000_0207, port: 4711), destination: here)
//     try await stream.write(header.encoded(as: .v2))
//     …
//     switch try ProxyHeaderParser().parse(buffer.bytes) {
//     case nil: read more into buffer
//     case let parsed?: buffer.removeFirst(parsed.byteCount)
//     }
