/// TLS by OpenSSL 3, the one module that speaks to its SSL objects: certificates and keys, contexts that
/// all loops share, and sessions that each belong to one loop.
///
/// Its one difficulty is who holds bytes. A session reads ahead, so that it may have bytes of which the
/// socket knows nothing any more; ``TLSSession/isDrained`` tells, and a stream keeps its readiness set
/// until then. A write that the socket did not take whole is half done inside of the session: it must be
/// given again from the first byte that was not taken. Both are hidden behind
/// ``MartletSystem/SocketLayer``, the seam below streams, so that whoever reads and writes a stream need
/// not know of TLS.
///
/// ```swift
/// let identity = try TLSIdentity(certificates: pem, key: pem)
/// let context = try TLSContext.server([identity], TLSServerSettings())
/// let session = try TLSSession(context, socket: stream.descriptor, as: .server)
/// stream.layer = session
/// switch session.handshake() { … }
/// ```
