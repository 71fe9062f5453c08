extension [UInt8] {
  /// Copies the bytes of a span.
  @inlinable
  public init(copying span: Span<UInt8>) {
    // Safe: the bytes are copied before the closure returns.
    self = unsafe span.withUnsafeBufferPointer { unsafe Array($0) }
  }

  /// Appends a copy of the bytes of a span.
  @inlinable
  public mutating func append(copying span: Span<UInt8>) {
    // Safe: the bytes are copied before the closure returns.
    unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}

extension String {
  /// Reads a span as UTF-8; what is not becomes U+FFFD.
  public init(decoding span: Span<UInt8>) {
    // Safe: the bytes are copied before the closure returns.
    self = unsafe span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
