/// The kernel as Swift sees it: descriptors, sockets, addresses, clocks and processes, typed and safe.
///
/// Its one difficulty is that hot calls must cost nothing but themselves and still be replaceable in
/// a test: ``Kernel`` is a class with one method per call, so that a test scripts what the kernel
/// answers, and production pays one indirect call.
///
/// ```swift
/// let socket = try Descriptor.stream(for: .ipv4(0x7F00_0001, port: 8080))
/// try socket.bind(to: .ipv4(0x7F00_0001, port: 8080))
/// try socket.listen(backlog: 4096)
/// ```
