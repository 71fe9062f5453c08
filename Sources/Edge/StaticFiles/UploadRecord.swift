public import HTTPMessage
import JSON
public import MartletSystem

/// What is known of an upload beside its bytes, as it is kept on the disk.
public struct UploadRecord: Hashable, Sendable {
  /// How far an upload is.
  public enum State: String, Hashable, Sendable {
    /// Bytes come.
    case receiving
    /// All have come, and the file is being put in place: it is, unless its bytes are still here.
    case finishing
    /// The file is in place.
    case complete
  }

  /// The version of a file that an upload is to replace.
  public struct Version: Hashable, Sendable {
    /// The number of its device.
    public var device: UInt64
    /// The number of the file on it.
    public var number: UInt64
    /// How many bytes it has.
    public var byteCount: Int64
    /// When it was changed, in nanoseconds since 1970.
    public var modifiedNanoseconds: Int64
    /// Its rights.
    public var rights: UInt32

    /// The version of a file of which this is known.
    public init(_ facts: FileFacts) {
      device = facts.device
      number = facts.number
      byteCount = facts.byteCount
      modifiedNanoseconds = facts.modifiedNanoseconds
      rights = facts.rights
    }

    init?(_ value: JSONValue) {
      guard let device = value["device"]?.text.flatMap({ UInt64($0) }),
        let number = value["number"]?.text.flatMap({ UInt64($0) }),
        let byteCount = value["bytes"]?.number, let modified = value["modified"]?.number,
        let rights = value["rights"]?.number, 0...0o7777 ~= rights
      else { return nil }
      self.device = device
      self.number = number
      self.byteCount = Int64(byteCount)
      modifiedNanoseconds = Int64(modified)
      self.rights = UInt32(rights)
    }

    var json: JSONValue {
      // Numbers of devices and files may have 64 bits.
      .object([
        "device": .text("\(device)"), "number": .text("\(number)"),
        "bytes": .number(Int(byteCount)), "modified": .number(Int(modifiedNanoseconds)),
        "rights": .number(Int(rights)),
      ])
    }

    /// Whether a file is this version.
    func isOf(_ facts: FileFacts) -> Bool { Version(facts).isSame(as: self) }

    private func isSame(as other: Version) -> Bool {
      device == other.device && number == other.number && byteCount == other.byteCount
        && modifiedNanoseconds == other.modifiedNanoseconds
    }
  }

  /// The path that the file is put at, below the root.
  public var path: String
  /// When the upload was begun, in seconds since 1970.
  public var createdSeconds: Int64
  /// How long the whole is; nil: nobody has said.
  public var length: Int64?
  /// What it replaces; nil: nothing is there.
  public var before: Version?
  /// What digests the whole has, in the form of `Repr-Digest`; nil: nobody has said.
  public var digests: String?
  /// How far it is.
  public var state = State.receiving

  /// Creates the record of an upload that begins.
  public init(path: RelativePath, createdSeconds: Int64, length: Int64?, before: FileFacts?) {
    self.path = String(decoding: path.bytes, as: UTF8.self)
    self.createdSeconds = createdSeconds
    self.length = length
    self.before = before.map { Version($0) }
  }

  /// The longest text of a record.
  public static let byteCount = 32 << 10

  /// Reads what ``text`` has written.
  ///
  /// - Returns: nil where it is something else.
  public init?(text: [UInt8]) {
    let limits = JSONLimits(byteCount: Self.byteCount, depth: 4, valueCount: 64)
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(parsing: text, limits: limits) } catch {
      return nil
    }
    guard value["upload"]?.number == 1, let path = value["path"]?.text,
      path.utf8.count <= RelativePath.pathBytes, let created = value["created"]?.number,
      let state = value["state"]?.text.flatMap({ State(rawValue: $0) })
    else { return nil }
    self.path = path
    self.state = state
    createdSeconds = Int64(created)
    switch value["length"] {
    case nil: length = nil
    case .number(let number)? where number >= 0: length = Int64(number)
    default: return nil
    }
    digests = value["digests"]?.text
    guard let version = value["replaces"] else { return }
    guard let before = Version(version) else { return nil }
    self.before = before
  }

  /// The record as text.
  public var text: [UInt8] {
    var members = [
      JSONValue.Member("upload", .number(1)), JSONValue.Member("path", .text(path)),
      JSONValue.Member("created", .number(Int(createdSeconds))),
      JSONValue.Member("state", .text(state.rawValue)),
    ]
    if let length { members.append(JSONValue.Member("length", .number(Int(length)))) }
    if let digests { members.append(JSONValue.Member("digests", .text(digests))) }
    if let before { members.append(JSONValue.Member("replaces", before.json)) }
    return Array((JSONValue.object(members).formatted() + "\n").utf8)
  }
}
