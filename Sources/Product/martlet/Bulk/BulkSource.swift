import CSV
import MartletBytes
import MartletQueues
import MartletSync
import MartletSystem
import Supervision
import Synchronization

/// Some values of a column, which are sent together.
struct BulkBatch: Sendable {
  private static let digits = Array("0123456789abcdef".utf8)

  /// Its number in the file, from 0.
  let number: Int
  private(set) var rowCount = 0
  /// The values as a list of strings, in JSON; it is made where the file is read, a byte at a time.
  private(set) var body: [UInt8] = [0x5B]

  /// Creates an empty one, of about so many bytes once it is full.
  init(number: Int, byteCount: Int = 0) {
    self.number = number
    body.reserveCapacity(byteCount + byteCount / 8)
  }

  /// Appends the value that stands in a part of `bytes`.
  mutating func append(_ bytes: Span<UInt8>, _ place: Range<Int>) {
    if rowCount > 0 { body.append(0x2C) }
    rowCount += 1
    body.append(0x22)
    let value = bytes.extracting(place)
    if Self.isPlain(bytes, place) {
      body.append(copying: value)
    } else if value.indices.allSatisfy({ value[$0] < 0x80 }) {
      for index in value.indices { append(value[index]) }
    } else {
      // Bytes that are no UTF-8 become marks of replacement, for JSON has no others.
      for byte in String(decoding: value).utf8 { append(byte) }
    }
    body.append(0x22)
  }

  /// Ends the list.
  mutating func close() { body.append(0x5D) }

  /// Whether the bytes stand for themselves in a string of JSON, whatever is around them.
  @inline(__always)
  private static func isPlain(_ bytes: Span<UInt8>, _ place: Range<Int>) -> Bool {
    let spaces = ByteSearch.Block(repeating: 0x20)
    let ends = ByteSearch.Block(repeating: 0x80)
    let quotes = ByteSearch.Block(repeating: 0x22)
    let strokes = ByteSearch.Block(repeating: 0x5C)
    return ByteSearch.firstIndex(in: bytes, from: place.lowerBound, to: place.upperBound) {
      ($0 .< spaces .| $0 .>= ends) .| ($0 .== quotes .| $0 .== strokes)
    } == nil
  }

  private mutating func append(_ byte: UInt8) {
    switch byte {
    case 0x22, 0x5C: body += [0x5C, byte]
    case 0..<0x20:
      body += Array("\\u00".utf8) + [Self.digits[Int(byte >> 4)], Self.digits[Int(byte & 15)]]
    default: body.append(byte)
    }
  }
}

/// Reads a file on a thread of its own, as fast as its batches are taken.
final class BulkSource: Sendable {
  /// How much of the file is read at a time.
  private static let readBytes = 256 << 10

  /// The batches, those together that one reading of the file has filled; closed behind the last one, or where the
  /// file is not in form.
  let bundles = Queue<[BulkBatch]>(capacity: 2)
  /// How many bytes the file has, and how many were read.
  let byteCount: Int64
  private let readCount = Atomic<Int64>(0)
  private let failure = Locked<String?>(nil)
  private let file: Descriptor
  private let journal: BulkJournal
  private let batchSize: Int

  init(
    _ file: consuming Descriptor,
    byteCount: Int64,
    batchSize: Int,
    past journal: BulkJournal
  ) {
    self.file = file
    self.byteCount = byteCount
    self.batchSize = batchSize
    self.journal = journal
  }

  /// How many bytes were read.
  var readBytes: Int64 { readCount.load(ordering: .relaxed) }

  /// Why reading has ended before the end of the file.
  var problem: String? { failure.withLock { $0 } }

  /// Begins to read a column, by its name in the first record or by its number from 1.
  func start(column: String) throws(SystemError) {
    try Thread.start {
      do {
        try self.read(column)
      } catch is QueueFailure {
        // Nobody takes any more: the senders have given up, and say why.
      } catch let problem as CSVFailure {
        self.failure.withLock { $0 = problem.description }
      } catch let problem as CommandFailure {
        self.failure.withLock { $0 = problem.message }
      } catch {
        self.failure.withLock { $0 = "\(error)" }
      }
      self.bundles.close()
    }
  }

  private func read(_ column: String) throws {
    var header = CSVReader()
    var bytes = [UInt8](repeating: 0, count: Self.readBytes)
    var (count, offset) = (0, 0)
    while case .needBytes = try header.next(in: bytes.span.extracting(first: count), at: &offset) {
      (count, offset) = (try fill(&bytes), 0)
      if count == 0 {
        guard try header.end() else { throw CommandFailure(.failure, "the file is empty") }
        break
      }
    }
    let place = try Self.place(of: column, in: header.fields)
    var reader = CSVReader(keeping: place, line: header.line)
    var filling = Filling()
    while count > 0 {
      try take(bytes.span.extracting(first: count), from: offset, &reader, place, &filling)
      // What is there is given before more is read, for which a pipe may have to be waited for.
      try put(&filling.bundle)
      (count, offset) = (try fill(&bytes), 0)
    }
    if try reader.end() { try add(&reader, place, to: &filling) }
    if filling.batch.rowCount > 0 { end(&filling) }
    try put(&filling.bundle)
  }

  private func fill(_ bytes: inout [UInt8]) throws(SystemError) -> Int {
    let count = try file.read(into: &bytes)
    readCount.add(Int64(count), ordering: .relaxed)
    return count
  }

  private static func place(of column: String, in names: [[UInt8]]) throws -> Int {
    if let place = names.firstIndex(of: Array(column.utf8)) { return place }
    if let number = Int(column), 1...names.count ~= number { return number - 1 }
    let known = names.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", ")
    throw CommandFailure(.failure, "there is no column \(column); there are: \(known)")
  }

  /// The batch that is being filled, and those that are full.
  private struct Filling {
    var batch = BulkBatch(number: 0)
    var bundle: [BulkBatch] = []
  }

  /// Takes all records of these bytes.
  private func take(
    _ bytes: Span<UInt8>,
    from start: Int,
    _ reader: inout CSVReader,
    _ place: Int,
    _ filling: inout Filling
  ) throws {
    var offset = start
    while true {
      if let record = try reader.nextPlain(in: bytes, at: &offset) {
        guard let value = record.place else { throw absence(of: place, reader) }
        filling.batch.append(bytes, value)
        if filling.batch.rowCount == batchSize { end(&filling) }
      } else if case .record = try reader.next(in: bytes, at: &offset) {
        try add(&reader, place, to: &filling)
      } else {
        return
      }
    }
  }

  /// Adds the record that was read.
  private func add(
    _ reader: inout CSVReader,
    _ place: Int,
    to filling: inout Filling
  ) throws(CommandFailure) {
    guard place < reader.fieldCount else { throw absence(of: place, reader) }
    let value = reader.field(place)
    filling.batch.append(value.span, 0..<value.count)
    if filling.batch.rowCount == batchSize { end(&filling) }
  }

  private func absence(of place: Int, _ reader: CSVReader) -> CommandFailure {
    CommandFailure(.failure, "line \(reader.line - 1) has no field \(place + 1)")
  }

  /// Ends the batch that is being filled, which is bundled unless it need not be sent.
  private func end(_ filling: inout Filling) {
    filling.batch.close()
    let batch = filling.batch
    filling.batch = BulkBatch(number: batch.number + 1, byteCount: batch.body.count)
    if !journal.contains(batch.number) { filling.bundle.append(batch) }
  }

  private func put(_ bundle: inout [BulkBatch]) throws(QueueFailure) {
    guard !bundle.isEmpty else { return }
    try bundles.put(bundle)
    bundle = []
  }
}

/// The batches of a source in their order, some at a time.
struct BulkGroups: AsyncSequence, AsyncIteratorProtocol {
  private let source: BulkSource
  private let limit: Int
  private var bundle: ArraySlice<BulkBatch> = []

  /// Creates the sequence of groups of at most `limit`.
  init(_ source: BulkSource, ofAtMost limit: Int) {
    self.source = source
    self.limit = limit
  }

  func makeAsyncIterator() -> BulkGroups { self }

  mutating func next() async -> ArraySlice<BulkBatch>? { await next(isolation: #isolation) }

  mutating func next(isolation actor: isolated (any Actor)?) async -> ArraySlice<BulkBatch>? {
    if bundle.isEmpty {
      guard let next = await source.bundles.next() else { return nil }
      bundle = next[...]
    }
    defer { bundle = bundle.dropFirst(limit) }
    return bundle.prefix(limit)
  }
}
