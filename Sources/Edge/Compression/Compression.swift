/// Content codings: gzip, Brotli and Zstandard, and what HTTP says of when they are used.
///
/// Its one difficulty is that a body has no end in sight: it comes in pieces of any size, some of which the
/// client is to have at once, and what it takes of memory must not depend on how long it is, nor on what a
/// sender claims. So a coder takes what there is and fills blocks of a fixed size; whoever drives it passes a
/// block on when it is full, or when the body pauses. A decoder counts what it makes against what it was
/// given, and refuses what grows beyond measure.
///
/// ``CompressionRules`` decide from two heads what becomes of a body, and ``CodedHead`` writes the head that
/// then is true. Both are pure.
///
/// ```swift
/// let encoder = Encoder(.zstandard, level: 3, window: .large)
/// encoder.begin(length: nil)
/// var block = CodedBlock(capacity: 65_536)
/// var offset = 0
/// while try !encoder.encode(text.span, from: &offset, .end, into: &block) {
///   pass(block.bytes)
///   block.removeAll()
/// }
/// pass(block.bytes)
/// ```
