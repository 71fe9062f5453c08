import Handover
import JSON
import MartletSystem

/// What was changed at run time and is to outlive the edge process: in memory, and what is kept also
/// in a file of the state directory.
struct KeptChanges {
  /// The most bytes of the file.
  static let limit = 4 << 20
  private static let version = 1

  /// What a new edge is told.
  private(set) var state = RuntimeState()
  private let path: String
  /// For which configuration it is.
  private let configuration: String

  /// Creates what a new instance has: nothing.
  init(_ directory: StateDirectory, for configuration: String) {
    path = "\(directory.path)/changes.json"
    self.configuration = configuration
  }

  /// Takes what the file holds, if it is for this configuration.
  ///
  /// - Returns: What there is to tell people, or nil.
  mutating func load() -> String? {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try Files.read(path, limit: Self.limit)
    } catch {
      return error.code == 2
        ? nil : "what was kept of changes cannot be read from \(path): \(error)"
    }
    do throws(JSONError) {
      let json = try JSONValue(parsing: bytes, limits: Self.limits)
      guard json["version"]?.number == Self.version, let changes = json["changes"] else {
        return "\(path) is of another version: what it keeps is not in force"
      }
      guard json["configuration"]?.text == configuration else {
        return "\(path) is for another configuration: what it keeps is not in force"
      }
      state.kept = Array(changes.compact.utf8)
    } catch {
      return "\(path) is not in form (\(error)): what it keeps is not in force"
    }
    return "changes that were kept are in force: `martlet config changes` tells them"
  }

  private static let limits = JSONLimits(byteCount: limit, depth: 32, valueCount: 200_000)

  /// Takes what an edge says is different now, and writes what is to be kept.
  ///
  /// - Throws: ``SystemError`` when it cannot be written; it is known here all the same.
  mutating func take(_ next: RuntimeState) throws(SystemError) {
    let isWritten = next.kept == state.kept
    state = next
    guard !isWritten else { return }
    if next.kept.isEmpty {
      try Files.remove(path)
      return
    }
    let changes: JSONValue
    do throws(JSONError) {
      changes = try JSONValue(parsing: next.kept, limits: Self.limits)
    } catch {
      throw SystemError(.write, 22)
    }
    let json = JSONValue.object([
      "version": .number(Self.version), "configuration": .text(configuration), "changes": changes,
    ])
    try Files.write(Array((json.formatted() + "\n").utf8), to: path, rights: 0o600)
  }
}
