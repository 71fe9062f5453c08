/// Every file with unsafe code, with what it does there, sorted by path.
let unsafeAllowances: [Allowance] = [
  Allowance(
    .unsafe,
    "Fuzz/Sources/chunked/chunked.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/codings/codings.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/dictionaries/dictionaries.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/conditions/conditions.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/caching/caching.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/fields/fields.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/frames/frames.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/gateways/gateways.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/headed/headed.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/hello/hello.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/acme/acme.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/http2/http2.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/jsonrpc/jsonrpc.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/pages/pages.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/paths/paths.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/probes/probes.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/proxy/proxy.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/request/request.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/response/response.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Fuzz/Sources/stored/stored.swift",
    "takes its input from libFuzzer as a pointer, and copies it at once"
  ),
  Allowance(
    .unsafe,
    "Sources/Base/MartletBytes/ByteCopies.swift",
    "copies from a pointer that lives as long as the call"
  ),
  Allowance(
    .unsafe,
    "Sources/Base/MartletBytes/ByteSearch.swift",
    "loads sixteen bytes at once; the load is bounds-checked, only its type is unsafe"
  ),
  Allowance(
    .unsafe,
    "Sources/Base/MartletBytes/SixteenBytes.swift",
    "loads eight bytes at once, which the caller has seen to lie within the span"
  ),
  Allowance(
    .unsafe,
    "Sources/Base/MartletTelemetry/CounterTable.swift",
    "keeps atomics in memory of its own; an index is checked before it is used"
  ),
  Allowance(
    .unsafe,
    "Sources/Base/MartletTelemetry/LogLane.swift",
    "passes a buffer from thread to thread by exchanging one reference"
  ),
  Allowance(
    .unsafe,
    "Sources/Base/MartletTelemetry/TextBuffer.swift",
    "writes into memory of its own, behind a check that it fits"
  ),
  Allowance(
    .unsafe,
    "Sources/Edge/Compression/CodedBlock.swift",
    "lends its memory to coders and copies into it, bounded by its size"
  ),
  Allowance(
    .unsafe,
    "Sources/Edge/Compression/CompressionDictionary.swift",
    "owns what a library has prepared, and lends it bytes with their count for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Edge/Compression/Decoder.swift",
    "owns a decoder of a library, and lends it bytes with their counts for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Edge/Compression/Encoder.swift",
    "owns an encoder of a library, and lends it bytes with their counts for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Edge/KeyedTables/AtomicWords.swift",
    "keeps atomics in memory of its own; an index is checked before it is used"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/BlockingPool.swift",
    "hands eight bytes of a local number to the kernel"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/Coroutines.swift",
    "compares addresses of tasks, which it never follows"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/EventLoop.swift",
    "keeps slots and buffers in memory of its own, which only its thread touches"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/InnerSockets.swift",
    "copies between the memory of a call and sockets that live in the process"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/Lent.swift",
    "hands out memory that the loop owns, for as long as the buffer lives"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/Parking.swift",
    "stores jobs as pointers; the whole mechanism and its invariants stand here"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/Pipes.swift",
    "refers to the loop from a pipe without counting; the loop outlives what it has lent"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/SlotTable.swift",
    "maps the table of slots, which is never moved and never resized"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/Spawning.swift",
    "refers to the loop from its own actor without counting; the loop owns the actor"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletLoop/ThreadSignal.swift",
    "hands eight bytes of a local number to the kernel"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletNet/Datagram.swift",
    "lends a buffer's memory to the kernel for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletNet/Stream.swift",
    "refers to its loop without counting, and lends buffers to the kernel for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletNet/Stream+Files.swift",
    "lends buffers and the bytes of files to the kernel for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletNet/Stream+Layer.swift",
    "lends buffers to the layer for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletNet/TranslatingLayer.swift",
    "lends buffers to the kernel for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletQueues/Ring.swift",
    "moves elements in and out of memory of its own; a stamp says whose turn it is at each place"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletSync/Checks/LockOwner.swift",
    "takes the hash of the task that runs, which lives as long as the call"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletSync/SequenceLock.swift",
    "copies values without pointers to atomics in memory of its own, and back"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletSync/ThreadLocal.swift",
    "keeps a box for each thread behind a key of pthread, which lets it go when the thread ends"
  ),
  Allowance(
    .unsafe,
    "Sources/Runtime/MartletSync/Waiter.swift",
    "keeps a continuation, which the one that settles the wait takes out and resumes"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/DatagramTable.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Descriptor.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/EventCounter.swift",
    "hands eight bytes of a local number to the kernel"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Files.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/FolderFiles.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/FutexWord.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Kernel.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Polling/EpollPollers.swift",
    "hands buffers of events to the kernel"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Polling/ScanningPollers.swift",
    "hands arrays of descriptors and buffers of events to the kernel"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Polling/UringPoller.swift",
    "owns the queues that it shares with the kernel"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Messages.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Processes.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Programs.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Secret.swift",
    "overwrites bytes where they stand, which no copy of an array could"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Shared/MessageQueue.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Shared/SharedMemory.swift",
    "maps memory that other processes change, too; every access is checked to lie within it"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Socket.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/SocketAddress.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/SystemError.swift",
    "wraps system calls: this layer is where pointers end"
  ),
  Allowance(
    .unsafe,
    "Sources/System/MartletSystem/Threads.swift",
    "passes a closure through pthread_create(3)"
  ),
  Allowance(
    .unsafe,
    "Sources/System/Sealing/Sealer.swift",
    "passes arrays with their counts to OpenSSL, and frees the ciphers that it made"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/RunningCheck.swift",
    "owns a code of OpenSSL, and lends it bytes with their counts for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/RunningDigest.swift",
    "owns a hash of OpenSSL, and lends it bytes with their counts for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSContext.swift",
    "owns a context of OpenSSL, and is called back with what that holds"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSFailure.swift",
    "has OpenSSL write a text to memory of the call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSIdentity.swift",
    "owns certificates and keys of OpenSSL, and frees each once"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSIssuing.swift",
    "hands OpenSSL texts and digests for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSKey.swift",
    "owns keys of OpenSSL, and has it write to arrays with their counts"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSSession.swift",
    "owns a session of OpenSSL, and lends it buffers for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSResponder.swift",
    "calls OpenSSL, which asks a closure about each certificate of a question, and copies what it is given"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSRevoking.swift",
    "hands OpenSSL certificates and lists for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSRequest.swift",
    "hands OpenSSL requests and signatures for one call"
  ),
  Allowance(
    .unsafe,
    "Sources/System/TLS/TLSStapling.swift",
    "hands OpenSSL responses for one call, and has it write to memory of the call"
  ),
]
