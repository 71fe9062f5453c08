import Foundation
public import JSON

/// A connection to the control socket of the instance that a rig has started.
public final class ControlWire: Sendable {
  /// The connection itself.
  public let wire: Wire
  private let number = Guarded<Int>(0)

  /// An error that a call was answered with.
  public struct Refusal: Error, CustomStringConvertible {
    /// Its number.
    public var code: Int
    /// Its sentence.
    public var message: String

    /// Number and sentence.
    public var description: String { "\(code): \(message)" }
  }

  /// Connects to the instance in `rig`.
  ///
  /// - Throws: ``Wire/Failure/refused`` when nobody listens.
  public init(_ rig: Rig) throws { wire = try Wire(to: rig.socket("state/control.sock")) }

  /// Sends a line, and returns the line that answers it.
  ///
  /// - Throws: ``Wire/Failure``, or what JSON throws.
  public func answer(to line: String) throws -> JSONValue {
    try wire.send(text: line + "\n")
    return try JSONValue(parsing: wire.receive(through: "\n", limit: 16 << 20))
  }

  /// Calls a method and returns its result.
  ///
  /// - Throws: ``Refusal`` when it is answered with an error.
  @discardableResult public func call(
    _ method: String,
    _ parameters: JSONValue = .object([])
  ) throws -> JSONValue {
    let id = number.withLock { number in
      number += 1
      return number
    }
    let call = JSONValue.object([
      "jsonrpc": .text("2.0"), "id": .number(id), "method": .text(method), "params": parameters,
    ])
    let answer = try answer(to: call.compact)
    guard answer["jsonrpc"]?.text == "2.0", answer["id"]?.number == id else {
      throw PeerError("not the answer to \(id): \(answer.compact)")
    }
    if let error = answer["error"] {
      throw Refusal(code: error["code"]?.number ?? 0, message: error["message"]?.text ?? "")
    }
    guard let result = answer["result"] else { throw PeerError("no result: \(answer.compact)") }
    return result
  }
}
