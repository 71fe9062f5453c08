import MartletBytes

/// What was written of the fields of earlier requests, by what they said: a client says the same again with its
/// next request.
///
/// Lives on one loop. Fields have one place each, by their sum; they are kept when they come there for the second
/// time in a row, so that those that come but once cost little, and stay until others do.
public final class KnownFields {
  /// Fields as a worker is told them.
  final class Written {
    let bytes: [UInt8]
    /// Whether the content's type is said.
    let hasType: Bool
    fileprivate let text: [UInt8]
    fileprivate let scriptName: [UInt8]
    fileprivate let scheme: [UInt8]
    fileprivate let serverName: [UInt8]
    fileprivate let version: [UInt8]

    init(
      _ text: Span<UInt8>,
      _ context: WorkerRequest.Context,
      as bytes: ArraySlice<UInt8>,
      hasType: Bool
    ) {
      self.bytes = Array(bytes)
      self.hasType = hasType
      self.text = Array(copying: text)
      scriptName = context.scriptName
      scheme = context.scheme
      serverName = context.serverName
      version = context.version
    }

    func isOf(_ text: Span<UInt8>, _ context: WorkerRequest.Context) -> Bool {
      // A span of a property of an object would not outlive the access to it.
      let known = self.text
      return KnownFields.isEqual(known.span, text) && scriptName == context.scriptName
        && scheme == context.scheme && serverName == context.serverName
        && version == context.version
    }
  }

  private struct Place {
    /// The sum of what came last.
    var sum: UInt64 = 0
    var written: Written?
  }

  private var places: [Place]

  /// How many places there are; a power of two.
  static let placeCount = 256
  /// The longest fields that are kept, in bytes.
  static let textLimit = 2048

  /// Creates a table that knows nothing.
  public init() { places = Array(repeating: Place(), count: Self.placeCount) }

  /// The sum of fields; nil: they are too long to be kept.
  static func sum(of text: Span<UInt8>) -> UInt64? {
    text.count > textLimit ? nil : XXH64.sum(of: text)
  }

  /// What was written of these fields in this context; nil: that is not known.
  func written(
    _ text: Span<UInt8>,
    withSum sum: UInt64,
    in context: WorkerRequest.Context
  ) -> Written? {
    // A sum proves nothing: others could have made it.
    guard let written = places[Self.place(of: sum)].written, written.isOf(text, context) else {
      return nil
    }
    return written
  }

  /// Whether fields are to be kept: they have come here before, and no others since.
  func keeps(sum: UInt64) -> Bool {
    let place = Self.place(of: sum)
    guard places[place].sum != sum else { return true }
    places[place].sum = sum
    return false
  }

  /// Keeps what was written.
  func keep(_ written: Written, withSum sum: UInt64) {
    places[Self.place(of: sum)].written = written
  }

  private static func place(of sum: UInt64) -> Int {
    Int(truncatingIfNeeded: sum) & (placeCount - 1)
  }

  private static func isEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for offset in stride(from: 0, to: left.count, by: 16)
    where SixteenBytes(left, at: offset) != SixteenBytes(right, at: offset) {
      return false
    }
    return true
  }
}
