// @unchecked: the value is made, used and let go on its loop alone; every access checks, and `deinit`
// goes there.

/// A value that lives on one loop and is reached from others only by going there.
///
/// The value ends on its loop too, wherever its last use was; on a loop that no longer runs it stays.
public final class LoopLocal<Value>: @unchecked Sendable {
  /// The loop that the value lives on.
  public let loop: EventLoop
  private let make: () -> Value
  private let place = Place()

  // @unchecked: as the whole.
  /// Where the value stands, so that it can be let go without what refers to it.
  private final class Place: @unchecked Sendable {
    var value: Value?
  }

  /// Creates the value on `loop`, when it is first asked for.
  public init(on loop: EventLoop, _ make: @escaping @Sendable () -> Value) {
    self.loop = loop
    self.make = make
  }

  deinit {
    guard !loop.isCurrent else { return }
    let place = place
    loop.afterwards { place.value = nil }
  }

  /// The value; on its loop only.
  public var local: Value {
    precondition(loop.isCurrent, "a value of one loop is used on another")
    if let value = place.value { return value }
    let made = make()
    place.value = made
    return made
  }

  /// Goes to the loop, does `body` with the value, and comes back.
  ///
  /// May be called from any thread.
  public func perform<Result: Sendable>(
    _ body: @escaping @Sendable (Value) async -> Result
  ) async -> Result {
    let box = ResultBox<Result>()
    await loop.perform { box.result = await body(self.local) }
    guard let result = box.result else { preconditionFailure("the body has run") }
    return result
  }
}

// @unchecked: written before `perform` returns, read behind it.
private final class ResultBox<Result: Sendable>: @unchecked Sendable {
  var result: Result?
}
