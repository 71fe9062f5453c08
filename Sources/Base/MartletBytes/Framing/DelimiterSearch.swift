/// Looks for the bytes that end messages, across the pieces in which they come.
///
/// - Complexity: O(*n*) in the bytes looked at, whatever they are (Knuth, Morris, Pratt 1977).
struct DelimiterSearch: Sendable {
  let delimiter: [UInt8]
  /// For each count of bytes that match: how many do when the last of them begins anew.
  private let shorter: [Int]
  /// How many bytes at the end of what was looked at are the beginning of the delimiter.
  private(set) var matched = 0

  init(_ delimiter: [UInt8]) {
    precondition(!delimiter.isEmpty, "a delimiter has at least one byte")
    self.delimiter = delimiter
    var shorter = [0]
    var count = 0
    for byte in delimiter.dropFirst() {
      while count > 0, delimiter[count] != byte { count = shorter[count - 1] }
      if delimiter[count] == byte { count += 1 }
      shorter.append(count)
    }
    self.shorter = shorter
  }

  /// Goes on from `start`; the offset behind the delimiter, or nil when it has not ended.
  mutating func end(in bytes: Span<UInt8>, from start: Int) -> Int? {
    if delimiter.count == 1 {
      return ByteSearch.firstIndex(of: delimiter[0], in: bytes, from: start).map { $0 + 1 }
    }
    var index = start
    while index < bytes.count {
      let byte = bytes[index]
      while matched > 0, delimiter[matched] != byte { matched = shorter[matched - 1] }
      if delimiter[matched] == byte { matched += 1 }
      index += 1
      if matched == delimiter.count {
        matched = 0
        return index
      }
    }
    return nil
  }

  /// Where the first delimiter ends; nil when there is none.
  func firstEnd(in bytes: Span<UInt8>) -> Int? {
    var search = self
    search.matched = 0
    return search.end(in: bytes, from: 0)
  }
}
