// Answers that are kept in memory and shared by all loops: which are kept, which make room, and answers that
// are still being received. Behind the memory there may be a disk: `Disk`.
//
// The one difficulty is that everything is shared and nothing may wait. A store is divided into shards, each
// behind a lock that is held for a look-up or a change of lists, never while bytes are copied or sent. What is
// found is an immutable value, `CachedAnswer`: whoever sends it holds a reference to its bytes, however long
// that takes and whatever becomes of it here. An answer that comes is a `Fill`, of which any number of readers
// on any loop take what has come so far.
//
//     let store = CacheStore(CacheLimits(memoryBytes: 256 << 20))
//     let word = store.word(of: key.span)
//     switch store.find(key.span, word, matching: { _ in true }) {
//     case .answer(let answer): send(answer)
//     case .pass, .nothing: ask(the: origin)
//     }
//
// What an answer means, whether it is fresh, and whether it may be kept at all, is decided by `HTTPCaching`.
