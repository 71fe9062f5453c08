/// What the supervisor and an edge process say to each other over a Unix socket.
///
/// The supervisor offers generations with their listening sockets, the edge says whether it serves
/// them. The one difficulty is that descriptors travel beside the bytes: a message tells in its head
/// how many belong to it, and they come with the first bytes of the message, never later.
///
/// ```swift
/// let channel = try HandoverChannel(adopting: socket, on: loop)
/// try channel.post(.generation(offer), files: sockets)
/// let answer = try await channel.receive(by: deadline)  // .ready(generation: 1)
/// ```
import MartletLoop
import MartletSystem
