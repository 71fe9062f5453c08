public import MartletSystem

/// Work that worker processes know by its name: the same in the program that submits it and in theirs.
///
/// What goes in and comes out is packed, see ``Packing``; nothing else passes between the processes.
public struct WorkerTask<Input: Codable & Sendable, Output: Codable & Sendable>: RegisteredTask {
  /// What it is called, 1 to 255 bytes.
  public let name: String
  let body: @Sendable (Input) throws -> Output

  /// Names work.
  ///
  /// Its error passes to the submitter in words, see ``WorkerFailure/threw(_:)``.
  public init(_ name: String, _ body: @escaping @Sendable (Input) throws -> Output) {
    precondition(1...255 ~= name.utf8.count, "the name of a task has 1 to 255 bytes")
    self.name = name
    self.body = body
  }

  /// Does the work for packed input, or for a packed list of them.
  public func perform(_ input: ArraySlice<UInt8>, isChunk: Bool) throws -> [UInt8] {
    guard isChunk else { return try Packing.pack(try body(try Packing.unpack(from: input))) }
    let inputs: [Input] = try Packing.unpack(from: input)
    return try Packing.pack(try inputs.map(body))
  }
}

/// A task of any kind; ``WorkerTask`` is the one there is.
public protocol RegisteredTask: Sendable {
  /// What it is called.
  var name: String { get }
  /// Does the work for packed input, or for a packed list of them.
  ///
  /// - Throws: What the work throws.
  func perform(_ input: ArraySlice<UInt8>, isChunk: Bool) throws -> [UInt8]
}

/// Why work of a process has no result.
public enum WorkerFailure: Error, Hashable, Sendable {
  /// It has thrown this, in words.
  case threw(String)
  /// The workers' program knows no task of this name.
  case unknownTask(String)
  /// The process ended under it, in each try.
  case crashed(ProcessEnd)
  /// It took longer than it may; the process was killed.
  case hung
  /// The process had more memory than it may; it was killed.
  case tooMuchMemory
  /// No process could be started, or each ended before it was ready.
  case cannotStart(String)
  /// What the process answered is not in form.
  case notUnderstood
  /// The pool was told to end at once.
  case killed
  /// What it takes or gives cannot be kept in memory.
  case noMemory(SystemError)
}

/// What stands before a message between a pool and a worker.
struct PoolFrame {
  enum Kind: UInt8 {
    /// The worker is ready.
    case hello = 1
    /// Do this: the name of a task follows, and its input.
    case run
    /// This is the result.
    case value
    /// It has thrown: words follow.
    case threw
    /// There is no task of this name.
    case unknown
  }

  static let byteCount = 32
  /// What is longer stands in memory that both processes see, and its descriptor comes with the message.
  static let inlineLimit = 64 << 10

  var kind: Kind
  /// Whether the input is a list of inputs, and the result one of results.
  var isChunk = false
  /// Whether the content stands in a file that came along.
  var isFile = false
  var nameCount: UInt8 = 0
  var attempt: UInt32 = 1
  var sequence: UInt64 = 0
  var contentCount: UInt64 = 0
  /// The most memory that the worker has had.
  var peakBytes: UInt64 = 0

  init(_ kind: Kind) { self.kind = kind }

  init?(_ bytes: ArraySlice<UInt8>) {
    let start = bytes.startIndex
    guard bytes.count >= Self.byteCount, let kind = Kind(rawValue: bytes[start]) else { return nil }
    self.kind = kind
    isChunk = bytes[start + 1] & 1 != 0
    isFile = bytes[start + 1] & 2 != 0
    nameCount = bytes[start + 2]
    attempt = UInt32(truncatingIfNeeded: Self.number(bytes, at: start + 4, 4))
    sequence = Self.number(bytes, at: start + 8, 8)
    contentCount = Self.number(bytes, at: start + 16, 8)
    peakBytes = Self.number(bytes, at: start + 24, 8)
  }

  private static func number(_ bytes: ArraySlice<UInt8>, at offset: Int, _ count: Int) -> UInt64 {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Puts the frame in the first bytes of a message.
  func write(to bytes: inout [UInt8]) {
    bytes[0] = kind.rawValue
    bytes[1] = (isChunk ? 1 : 0) | (isFile ? 2 : 0)
    bytes[2] = nameCount
    bytes[3] = 0
    Self.put(UInt64(attempt), 4, at: 4, in: &bytes)
    Self.put(sequence, 8, at: 8, in: &bytes)
    Self.put(contentCount, 8, at: 16, in: &bytes)
    Self.put(peakBytes, 8, at: 24, in: &bytes)
  }

  private static func put(_ number: UInt64, _ count: Int, at offset: Int, in bytes: inout [UInt8]) {
    for place in 0..<count {
      bytes[offset + place] = UInt8(truncatingIfNeeded: number >> UInt64(8 * place))
    }
  }
}

/// What is in or beside a message.
struct PoolMessage {
  var bytes: [UInt8]
  var file: OpenFile?

  /// A message of a frame, a name and content, which is put into shared memory if it is long.
  init(_ frame: PoolFrame, name: String = "", content: [UInt8]) throws(SystemError) {
    var frame = frame
    frame.nameCount = UInt8(name.utf8.count)
    frame.contentCount = UInt64(content.count)
    bytes = [UInt8](repeating: 0, count: PoolFrame.byteCount)
    bytes.append(contentsOf: name.utf8)
    if content.count <= PoolFrame.inlineLimit {
      bytes.append(contentsOf: content)
    } else {
      frame.isFile = true
      let memory = try Descriptor.sealedMemoryFile("martlet-pool", byteCount: content.count)
      var written = 0
      while written < content.count {
        // One call takes at most 2 GiB.
        written += try memory.write(
          written == 0 ? content : Array(content[written...]),
          at: written
        )
      }
      file = OpenFile(memory)
    }
    frame.write(to: &bytes)
  }

  /// The content of a message that came.
  static func content(
    of frame: PoolFrame,
    in bytes: ArraySlice<UInt8>,
    _ file: OpenFile?
  ) throws -> ArraySlice<UInt8> {
    let rest = bytes.dropFirst(PoolFrame.byteCount + Int(frame.nameCount))
    guard frame.isFile else {
      guard UInt64(rest.count) == frame.contentCount else { throw WorkerFailure.notUnderstood }
      return rest
    }
    guard let file, let count = Int(exactly: frame.contentCount),
      try file.descriptor.facts().byteCount == count
    else { throw WorkerFailure.notUnderstood }
    var content: [UInt8] = []
    while content.count < count {
      let part = try file.descriptor.read(upTo: count - content.count, at: content.count)
      guard !part.isEmpty else { throw WorkerFailure.notUnderstood }
      if content.isEmpty { content = part } else { content += part }
    }
    return content[...]
  }
}
