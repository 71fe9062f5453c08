/// The coders of a loop: used again and again, and no more of them than there may be memory for.
///
/// It belongs to one loop.
public final class CoderStock {
  /// How many bytes the coders in use and those that wait may hold together.
  public var limit: Int
  /// How many bytes they hold.
  public private(set) var byteCount = 0
  /// What figures were told of memory.
  public var toldByteCount = 0
  /// How many are in use.
  public private(set) var usedCount = 0
  private var idle: [BodyCoder.Kind: [BodyCoder]] = [:]
  private var costs: [ObjectIdentifier: Int] = [:]

  /// How many of a kind wait for a body.
  private static let idleCount = 4

  /// Creates a stock whose coders may hold so many bytes.
  public init(limit: Int) { self.limit = limit }

  /// A coder for a body that begins; nil: there is no memory for one.
  public func take(
    _ kind: BodyCoder.Kind,
    length: Int?,
    limits: DecodingLimits = DecodingLimits(),
    against dictionary: CompressionDictionary? = nil
  ) -> BodyCoder? {
    guard let coder = idle[kind]?.popLast() ?? make(kind) else { return nil }
    do throws(CodingError) {
      try coder.begin(length: length, limits: limits, against: dictionary)
    } catch {
      forget(coder)
      return nil
    }
    usedCount += 1
    return coder
  }

  private func make(_ kind: BodyCoder.Kind) -> BodyCoder? {
    let cost = BodyCoder.byteCount(of: kind)
    if byteCount + cost > limit { empty() }
    guard byteCount + cost <= limit, let coder = BodyCoder(kind) else { return nil }
    byteCount += cost
    costs[ObjectIdentifier(coder)] = cost
    return coder
  }

  /// Takes a coder back whose body is over.
  ///
  /// With `isSound` it may be used again.
  public func giveBack(_ coder: BodyCoder, isSound: Bool) {
    usedCount -= 1
    guard isSound, idle[coder.kind, default: []].count < Self.idleCount else {
      return forget(coder)
    }
    // By now it is known what it has come to.
    let cost = coder.byteCount
    byteCount += cost - (costs.updateValue(cost, forKey: ObjectIdentifier(coder)) ?? 0)
    idle[coder.kind, default: []].append(coder)
  }

  /// Lets go of the coders that wait.
  public func empty() {
    for coder in idle.values.joined() { forget(coder) }
    idle = [:]
  }

  private func forget(_ coder: BodyCoder) {
    byteCount -= costs.removeValue(forKey: ObjectIdentifier(coder)) ?? 0
  }
}
