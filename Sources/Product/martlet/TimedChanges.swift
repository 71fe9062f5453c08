import Configuration
import JSON
import Supervision

/// Changes that hold within one generation.
struct TimedChanges {
  var generation: UInt64
  var changes: RuntimeChanges

  init(_ generation: UInt64, _ changes: RuntimeChanges) {
    self.generation = generation
    self.changes = changes
  }

  /// Reads what ``bytes`` gave; nothing is no change.
  init?(bytes: [UInt8]) {
    guard !bytes.isEmpty else {
      self.init(0, RuntimeChanges())
      return
    }
    guard let json = JSONValue(changes: bytes), let number = json["generation"]?.number,
      let changes = json["changes"].flatMap({ RuntimeChanges($0) })
    else { return nil }
    self.init(UInt64(clamping: number), changes)
  }

  /// The form in which the supervisor holds them; empty if there is none.
  var bytes: [UInt8] {
    guard !changes.isEmpty else { return [] }
    let json = JSONValue.object([
      "generation": .number(Int(clamping: generation)), "changes": changes.json,
    ])
    return Array(json.compact.utf8)
  }
}

extension RuntimeChanges {
  /// Reads what ``bytes`` gave; nothing is no change.
  init?(bytes: [UInt8]) {
    guard !bytes.isEmpty else {
      self.init()
      return
    }
    guard let json = JSONValue(changes: bytes) else { return nil }
    self.init(json)
  }

  /// The form in which the supervisor holds them; empty if there is none.
  var bytes: [UInt8] { isEmpty ? [] : Array(json.compact.utf8) }
}

extension JSONValue {
  fileprivate init?(changes bytes: [UInt8]) {
    let limits = JSONLimits(byteCount: 4 << 20, valueCount: 200_000)
    do throws(JSONError) { try self.init(parsing: bytes, limits: limits) } catch { return nil }
  }
}
