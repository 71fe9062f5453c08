/// What a process remembers for keys, such as clients, in tables of fixed size that all loops share.
///
/// Its one difficulty is that no loop may wait for another: a table is made of words that are compared
/// and swapped, ``KeyedWords``, and a key is a word itself, which ``KeyHash`` makes of its bytes.
///
/// ```swift
/// let table = KeyedWords(keyCount: 65_536)
/// let key = KeyHash.random().key(of: bytes.span)
/// ```
