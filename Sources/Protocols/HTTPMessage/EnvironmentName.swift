import MartletBytes

extension [UInt8] {
  /// Appends what programs call a field of a request: `HTTP_`, and the name in capitals with `_` for `-`.
  ///
  /// - Source: RFC 3875, section 4.1.18.
  public mutating func append(environmentNameOf field: Span<UInt8>) {
    append(copying: "HTTP_".utf8.span)
    let start = count
    append(copying: field)
    var letters = mutableSpan
    for index in start..<letters.count {
      let byte = letters[index]
      letters[index] = byte &- 0x61 < 26 ? byte & 0xDF : byte == 0x2D ? 0x5F : byte
    }
  }
}
