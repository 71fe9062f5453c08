import MartletBytes

/// A message that comes on a stream of HTTP/2, given out as HTTP/1.1 would have sent it.
struct StreamText {
  /// Text that comes before anything else: heads, sizes of chunks, trailers.
  private var text: [UInt8] = []
  private var textTaken = 0
  private var content: [UInt8] = []
  private var contentTaken = 0
  /// What is left of the piece of content whose size was given.
  private var pieceLeft = 0
  private var isChunked = false
  /// Whether the end of the stream has come.
  private(set) var hasEnded = false
  private var endWasGiven = true
  private var trailers: [UInt8] = []

  /// Begins anew.
  mutating func reset() {
    text.removeAll(keepingCapacity: true)
    textTaken = 0
    content.removeAll(keepingCapacity: true)
    contentTaken = 0
    pieceLeft = 0
    isChunked = false
    hasEnded = false
    endWasGiven = true
    trailers = []
  }

  /// Takes a head; behind the last one comes the content, in chunks if its length is not known.
  ///
  /// What `head` holds afterwards is of no use but for its memory.
  mutating func add(head: inout [UInt8], isChunked: Bool, hasEnded: Bool) {
    if textTaken == text.count {
      swap(&text, &head)
      textTaken = 0
    } else {
      text += head
    }
    self.isChunked = isChunked
    self.hasEnded = hasEnded
    endWasGiven = !isChunked
  }

  /// Takes content.
  mutating func add(_ bytes: Span<UInt8>, isLast: Bool) {
    content.append(copying: bytes)
    if isLast { hasEnded = true }
  }

  /// Takes the end, with the trailers in front of it, each as a line.
  mutating func end(_ trailers: [UInt8] = []) {
    self.trailers = trailers
    hasEnded = true
  }

  /// Whether there is something to be read; the end of a body whose length is known is nothing.
  var hasMore: Bool {
    textTaken < text.count || contentTaken < content.count || hasEnded && !endWasGiven
  }

  /// Whether everything was read, up to the end.
  var isReadOut: Bool {
    hasEnded && endWasGiven && textTaken == text.count && content.isEmpty
  }

  /// Gives what there is, at most `limit` bytes.
  ///
  /// - Returns: How many bytes that were, and how many of them were content.
  mutating func read(
    upTo limit: Int,
    _ take: (Span<UInt8>) -> Void
  ) -> (count: Int, content: Int) {
    var left = limit
    var used = 0
    while left > 0 {
      if textTaken < text.count {
        let count = min(left, text.count - textTaken)
        take(text.span.extracting(textTaken..<textTaken + count))
        textTaken += count
        left -= count
      } else if pieceLeft > 0 {
        let count = min(left, pieceLeft)
        take(content.span.extracting(contentTaken..<contentTaken + count))
        contentTaken += count
        pieceLeft -= count
        left -= count
        used += count
        guard pieceLeft == 0 else { continue }
        if contentTaken == content.count {
          content.removeAll(keepingCapacity: content.count <= 16 << 10)
        } else {
          // What has come since the size was given is the next piece.
          content.removeFirst(contentTaken)
        }
        contentTaken = 0
        if isChunked { setText(Self.lineEnd) }
      } else if !content.isEmpty {
        pieceLeft = content.count - contentTaken
        if isChunked { setSize(pieceLeft) }
      } else if hasEnded, !endWasGiven {
        endWasGiven = true
        setText(Self.lastChunk)
        text += trailers
        text += Self.lineEnd
        trailers = []
      } else {
        break
      }
    }
    return (limit - left, used)
  }

  private mutating func setText(_ new: [UInt8]) {
    text.removeAll(keepingCapacity: true)
    textTaken = 0
    text += new
  }

  private static let lineEnd: [UInt8] = [0x0D, 0x0A]
  private static let lastChunk: [UInt8] = [0x30, 0x0D, 0x0A]

  /// The line before a chunk.
  private mutating func setSize(_ count: Int) {
    text.removeAll(keepingCapacity: true)
    textTaken = 0
    let digits = max(1, (64 - count.leadingZeroBitCount + 3) / 4)
    for place in stride(from: digits - 1, through: 0, by: -1) {
      let digit = UInt8(truncatingIfNeeded: count >> (place * 4)) & 15
      text.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
    text.append(0x0D)
    text.append(0x0A)
  }
}
