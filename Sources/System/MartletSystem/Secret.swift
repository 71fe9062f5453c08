import CLinux

/// Bytes that are to be nowhere in memory once they were used.
public enum Secret {
  /// Overwrites bytes where they stand: whoever holds the same array finds zeros in it.
  ///
  /// Arrays that were made of it by copying keep what they have. Library call: `explicit_bzero(3)`.
  public static func forget(_ bytes: [UInt8]) {
    // Safe: the storage of an array is memory that may be written, as long as the array is; an array that is
    // empty has none, and is not touched. Its holders read it no more, which is for the caller to see to.
    unsafe bytes.withUnsafeBytes { bytes in unsafe martlet_forget(bytes.baseAddress, bytes.count) }
  }

  /// Keeps the memory of this process out of files that are written when it crashes, and from other processes of
  /// its user; programs that it executes are not concerned.
  ///
  /// - Throws: ``SystemError``. System call: `prctl(2)`, `PR_SET_DUMPABLE`.
  public static func forbidDumps() throws(SystemError) {
    try check(martlet_forbid_dumps(), .prctl)
  }
}
