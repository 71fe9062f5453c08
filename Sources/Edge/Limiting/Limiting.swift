// Limiting: what limits count, who waits how long, and when to shed; without I/O.
//
// The one difficulty is that all loops of a process share these figures and none may wait for another.
// A limit on rates is one word for each key, the moment at which all that was admitted is paid for, and
// is changed by comparing and swapping: ``RateTable``. So are the things under way, ``UseTable``. Both
// keep their keys in a table of fixed size, ``KeyedWords``, where keys come and go without a lock.
// What is only used when something has to wait, ``WaitingLine``, and what is asked a few times a
// second, ``OverloadState``, are plain values.
//
// Time is passed in, as nanoseconds of any clock that does not go back.
//
//     let table = RateTable(Rate(100, per: 1_000_000_000, burst: 50), keyCount: 65_536)
//     let key = KeyHash.random().key(of: address.span)
//     switch table.admit(key, at: now) {
//     case .admitted: answer()
//     case .refused(let wait): refuse(retryAfter: wait)
//     }
