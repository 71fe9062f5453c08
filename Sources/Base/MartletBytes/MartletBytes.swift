/// Bytes as the protocols see them: classes of bytes, fast searches, and writers.
///
/// Everything here works on `Span<UInt8>`: no pointer leaves this module. The one difficulty is
/// speed without giving up the bounds check: ``ByteSearch`` looks at sixteen bytes at once and
/// checks the bounds once for all of them.
