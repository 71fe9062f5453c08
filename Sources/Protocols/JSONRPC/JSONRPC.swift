/// JSON-RPC 2.0: calls, batches and notifications, from bytes to bytes, without I/O.
///
/// Its one difficulty is that a caller must learn of each call alone what became of it: a batch may
/// hold good calls beside bad ones, and a notification is never answered, whatever comes of it. So a
/// message is read to calls and faults in order, and answered from what became of each.
///
/// Methods are declared in a ``MethodTable``: arguments are checked by it, and `rpc.discover`
/// describes it as an OpenRPC document. Over a stream a message is a line: see ``MessageLines``.
///
/// ```swift
/// let message = RPCMessage(bytes)
/// let answer = await message.answer { call throws(RPCError) in
///   try await perform(call.method, try table.arguments(of: call))
/// }
/// ```
