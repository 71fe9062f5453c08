/// Where the frames of a WebSocket begin and end in bytes that pass: so that something can be said between two.
///
/// ```
///   0               1               2 …
///  +-+-------------+-+-------------+-------------------+-----------+---------+
///  |F|R R R  opcode|M| length (7)  | 0, 2 or 8 further | 0 or 4 of | payload |
///  |I|             |A| 126: 2 more | bytes of length   | a mask    |         |
///  |N|             |S| 127: 8 more |                   |           |         |
///  +-+-------------+-+-------------+-------------------+-----------+---------+
/// ```
///
/// Nothing is judged and nothing is kept: who breaks the rules is told so by the other end.
///
/// - Source: RFC 6455, section 5.2.
public struct WebSocketFrames: Hashable, Sendable {
  private enum State: Hashable, Sendable {
    case opcode
    case length
    /// So many bytes of the length are to come, and whether a mask stands behind it.
    case further(Int, value: UInt64, isMasked: Bool)
    /// So many bytes of the mask and the payload are to come.
    case rest(UInt64)
  }

  private var state = State.opcode

  /// Stands before the first frame.
  public init() {}

  /// Whether a frame has ended, and the next one has not begun.
  public var isBetween: Bool { state == .opcode }

  /// Passes bytes.
  ///
  /// - Complexity: O(*n*) in the frames that begin in `bytes`; payloads are passed over at once.
  public mutating func pass(_ bytes: Span<UInt8>) {
    var offset = 0
    while offset < bytes.count {
      switch state {
      case .opcode:
        state = .length
        offset += 1
      case .length:
        let isMasked = bytes[offset] & 0x80 != 0
        switch bytes[offset] & 0x7F {
        case 126: state = .further(2, value: 0, isMasked: isMasked)
        case 127: state = .further(8, value: 0, isMasked: isMasked)
        case let count: follow(UInt64(count), isMasked)
        }
        offset += 1
      case .further(let count, let value, let isMasked):
        // The first bit of eight bytes is never set; if it is, no end is found any more.
        let value = value << 8 | UInt64(bytes[offset])
        if count == 1 {
          follow(value, isMasked)
        } else {
          state = .further(count - 1, value: value, isMasked: isMasked)
        }
        offset += 1
      case .rest(let count):
        let taken = min(count, UInt64(bytes.count - offset))
        offset += Int(taken)
        state = taken == count ? .opcode : .rest(count - taken)
      }
    }
  }

  private mutating func follow(_ count: UInt64, _ isMasked: Bool) {
    let rest = count.addingReportingOverflow(isMasked ? 4 : 0)
    state =
      rest.overflow ? .rest(.max) : rest.partialValue == 0 ? .opcode : .rest(rest.partialValue)
  }

  /// A frame that asks the other side whether it is there, without a payload.
  ///
  /// - Source: RFC 6455, section 5.5.2.
  public static let ping: [UInt8] = [0x89, 0]
}
