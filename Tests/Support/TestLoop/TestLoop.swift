/// A loop that a test drives by hand: its clock stands still until the test moves it, and what the
/// kernel answers is written down beforehand.
///
/// Its one difficulty is that everything happens on the test's own thread: a test of this kind is a
/// plain function that starts coroutines, makes the kernel answer, and looks at what they did.
///
/// ```swift
/// let driven = try DrivenLoop(.parking)
/// let socket = driven.kernel.descriptor()
/// driven.kernel.willReceive(.bytes([1, 2]), .fails(ECONNRESET), on: socket)
/// driven.start { await serve(socket) }
/// driven.happen([.readable], on: socket)
/// driven.advance(by: .seconds(5))
/// ```
