/// Every file that may break a rule, with the reason.
///
/// A test fails when an entry is no longer needed.
let allowances = unsafeAllowances + otherAllowances

/// Those of all rules but that about unsafe code, sorted by rule and path.
private let otherAllowances: [Allowance] = [
  Allowance(
    .fileLength,
    "Sources/System/CLinux/include/CLinux.h",
    "a shim for each call of the kernel, a line or two long; nobody reads it in one go"
  ),
  Allowance(
    .safeComment,
    "Sources/Runtime/MartletLoop/EventLoop.swift",
    "its tables and stocks belong to one thread, which made them and frees them"
  ),
  Allowance(
    .safeComment,
    "Sources/Runtime/MartletNet/Stream.swift",
    "slices what is left of bytes that the caller owns; the slice is bounds-checked"
  ),
  Allowance(
    .safeComment,
    "Sources/Runtime/MartletSync/Waiter.swift",
    "the continuation is its own; the reason stands where it is kept and where it is resumed"
  ),
  Allowance(
    .safeComment,
    "Sources/System/MartletSystem/Descriptor.swift",
    "open(2) reads the path, a string that Swift ends with a zero byte"
  ),
  Allowance(
    .safeComment,
    "Sources/System/MartletSystem/Files.swift",
    "paths are strings that Swift ends with a zero byte, and the calls only read them"
  ),
  Allowance(
    .safeComment,
    "Sources/System/MartletSystem/Threads.swift",
    "one reference is passed to the new thread; the reason stands at the call"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Base/MartletTelemetry/CounterTable.swift",
    "a table of atomics, which any thread may read"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Base/MartletTelemetry/LogLane.swift",
    "a place whose buffer belongs to whoever exchanges the reference"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Base/MartletTelemetry/TextBuffer.swift",
    "a value that cannot be copied and owns its memory alone"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Edge/Compression/BodyCoder.swift",
    "a coder that one thread at a time uses; who hands it on waits for that one"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Edge/Compression/CompressionDictionary.swift",
    "nothing changes it once it is there"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Edge/KeyedTables/AtomicWords.swift",
    "a place of atomics, which any thread may change"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletLoop/Coroutines.swift",
    "bodies that are made on a loop and run there; the making checks it"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletLoop/EventLoop.swift",
    "an executor; its state belongs to its thread, the rest is behind a lock"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletLoop/InnerSockets.swift",
    "a kernel of one loop, whose sockets that loop's thread alone touches"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletLoop/LoopLocal.swift",
    "a value that is reached on its loop alone, which every access checks"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletLoop/Parking.swift",
    "an executor that only its loop's thread uses"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletLoop/Spawning.swift",
    "the way from a loop's actor to the loop, written before the loop is used"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletProcess/Pools/Future.swift",
    "a result that one thread writes before it says so, and its work, which one thread takes"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletQueues/Ring.swift",
    "atomics, and elements that one owner at a time touches"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletServers/Servers.swift",
    "classes of constants, which are not final because one inherits from the other"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletSync/Locked.swift",
    "a value that is reached under its lock alone"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletSync/SequenceLock.swift",
    "a pointer to atomics, which any thread may change"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/Runtime/MartletSync/ThreadLocal.swift",
    "a key that is constant, behind which each thread reaches its own value alone"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/System/MartletSystem/FutexWord.swift",
    "a pointer to an atomic, which any thread may change"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/System/MartletSystem/Kernel.swift",
    "an open class without state, which tests inherit from"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/System/MartletSystem/Shared/SharedMemory.swift",
    "a mapping that processes change by words or under a lock that lies in it"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/System/TLS/TLSContext.swift",
    "a context that nobody changes, and that OpenSSL lets any thread make sessions of"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/System/TLS/TLSIdentity.swift",
    "certificates and keys that nobody changes; keys of tickets have a lock of their own"
  ),
  Allowance(
    .uncheckedSendable,
    "Sources/System/TLS/TLSKey.swift",
    "keys that nobody changes, and that OpenSSL lets any thread sign with"
  ),
  Allowance(
    .nonisolatedUnsafe,
    "Sources/Runtime/MartletLoop/Parking.swift",
    "the start-up probe looks at a counter of its own thread"
  ),
  Allowance(
    .optionalTry,
    "Sources/Runtime/MartletLoop/EventLoop+Waiting.swift",
    "a wait that nothing but its own token ends has no error to tell"
  ),
  Allowance(
    .optionalTry,
    "Sources/Runtime/MartletLoop/Parking.swift",
    "the start-up probe gives its verdict by what happened, not by an error"
  ),
  Allowance(
    .task,
    "Sources/Runtime/MartletLoop/Parking.swift",
    "the start-up probe, which ends before the first loop starts"
  ),
  Allowance(
    .task,
    "Sources/Runtime/MartletLoop/Spawning.swift",
    "the one place that starts coroutines; each ends with what it serves"
  ),
  Allowance(
    .task,
    "Sources/Runtime/MartletProcess/MainCoroutine.swift",
    "the one coroutine of a process' main thread, whose end ends the loop"
  ),
  Allowance(
    .typeName,
    "Sources/Edge/MartletHandlers/Routes.swift",
    "`get` adds a route for the method GET, beside `post` and its like"
  ),
]
