/// The code that shortens strings in field blocks.
///
/// It is canonical: the lengths of its codes say all of it.
///
/// - Source: RFC 7541, appendix B.
struct Huffman: Sendable {
  /// The one table that all connections share.
  static let shared = Huffman()

  /// What four more bits lead to from a node.
  private struct Step {
    /// The node that is reached.
    var node: UInt8 = 0
    /// The byte that was completed on the way.
    var symbol: UInt8 = 0
    var hasSymbol = false
    /// Whether the bits are of no code, or of the one that means the end.
    var isDefect = false
  }

  /// For each of the 256 inner nodes of the tree, sixteen steps.
  private let steps: [Step]
  /// Whether a string may end at a node: less than eight bits, all of them ones, since the last byte.
  private let mayEnd: [Bool]
  /// The codes, the first bit highest, and their lengths.
  private let codes: [UInt32]
  private let lengths: [UInt8]

  private init() {
    var codes = [UInt32](repeating: 0, count: Self.codeLengths.count)
    var code: UInt32 = 0
    var length: UInt8 = 0
    let order = Self.codeLengths.indices.sorted {
      (Self.codeLengths[$0], $0) < (Self.codeLengths[$1], $1)
    }
    for symbol in order {
      code <<= UInt32(Self.codeLengths[symbol] - length)
      length = Self.codeLengths[symbol]
      codes[symbol] = code
      code += 1
    }
    self.codes = codes
    lengths = Self.codeLengths
    let tree = Tree(codes, Self.codeLengths)
    mayEnd = tree.mayEnd
    var steps: [Step] = []
    steps.reserveCapacity(tree.children.count * 16)
    for node in tree.children.indices {
      for nibble in 0..<16 {
        var step = Step()
        var position = node
        for bit in 0..<4 {
          let next = tree.children[position][nibble >> (3 - bit) & 1]
          if next >= 0 {
            position = next
            continue
          }
          let symbol = -next - 1
          if symbol == 256 { step.isDefect = true }
          step.symbol = UInt8(truncatingIfNeeded: symbol)
          step.hasSymbol = true
          position = 0
        }
        step.node = UInt8(position)
        steps.append(step)
      }
    }
    self.steps = steps
  }

  /// The tree of the codes: leaves are negative, the symbol's number below zero.
  private struct Tree {
    var children: [[Int]] = [[0, 0]]
    var mayEnd: [Bool] = [true]

    init(_ codes: [UInt32], _ lengths: [UInt8]) {
      for symbol in codes.indices {
        var node = 0
        for depth in 1...Int(lengths[symbol]) {
          let bit = Int(codes[symbol] >> UInt32(Int(lengths[symbol]) - depth) & 1)
          if depth == Int(lengths[symbol]) {
            children[node][bit] = -symbol - 1
          } else if children[node][bit] == 0 {
            children.append([0, 0])
            // Padding is the beginning of the longest code: all ones, and less than a byte.
            mayEnd.append(bit == 1 && mayEnd[node] && depth < 8)
            children[node][bit] = children.count - 1
            node = children.count - 1
          } else {
            node = children[node][bit]
          }
        }
      }
    }
  }

  /// Appends what `range` of `bytes` means.
  ///
  /// - Returns: False when it means nothing: a wrong padding, or the code for the end.
  func decode(_ bytes: Span<UInt8>, _ range: Range<Int>, into out: inout [UInt8]) -> Bool {
    var node = 0
    for index in range {
      let byte = bytes[index]
      let first = steps[node << 4 | Int(byte >> 4)]
      if first.hasSymbol {
        guard !first.isDefect else { return false }
        out.append(first.symbol)
      }
      let second = steps[Int(first.node) << 4 | Int(byte & 15)]
      if second.hasSymbol {
        guard !second.isDefect else { return false }
        out.append(second.symbol)
      }
      node = Int(second.node)
    }
    return mayEnd[node]
  }

  /// The bytes that a string takes when it is coded.
  func byteCount(of bytes: Span<UInt8>) -> Int {
    var bits = 0
    for index in bytes.indices { bits &+= Int(lengths[Int(bytes[index])]) }
    return (bits + 7) >> 3
  }

  /// Appends the code of a string.
  func encode(_ bytes: Span<UInt8>, into out: inout [UInt8]) {
    var word: UInt64 = 0
    var count: UInt64 = 0
    for index in bytes.indices {
      let symbol = Int(bytes[index])
      let length = UInt64(lengths[symbol])
      word = word << length | UInt64(codes[symbol])
      count += length
      while count >= 8 {
        count -= 8
        out.append(UInt8(truncatingIfNeeded: word >> count))
      }
    }
    guard count > 0 else { return }
    // The rest of the last byte is ones.
    out.append(UInt8(truncatingIfNeeded: word << (8 - count)) | 0xFF >> UInt8(count))
  }

  /// The bits of each byte's code, and at the end those of the code that no string may hold.
  private static let codeLengths: [UInt8] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11,
    10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8,
    15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5,
    6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21,
    23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25,
    26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26,
    28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
  ]
}
