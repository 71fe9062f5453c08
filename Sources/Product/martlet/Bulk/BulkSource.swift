import CSV
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

  mutating func append(_ value: ArraySlice<UInt8>) {
    if rowCount > 0 { body.append(0x2C) }
    rowCount += 1
    body.append(0x22)
    if value.allSatisfy(Self.isPlain) {
      body += value
    } else if value.allSatisfy({ $0 < 0x80 }) {
      for byte in value { append(byte) }
    } else {
      // Bytes that are no UTF-8 become marks of replacement, for JSON has no others.
      for byte in String(decoding: value, as: UTF8.self).utf8 { append(byte) }
    }
    body.append(0x22)
  }

  /// Ends the list.
  mutating func close() { body.append(0x5D) }

  /// Whether a byte stands for itself in a string of JSON, whatever is around it.
  @inline(__always)
  private static func isPlain(_ byte: UInt8) -> Bool {
    0x20..<0x80 ~= byte && byte != 0x22 && byte != 0x5C
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
  /// The batches; closed behind the last one, or where the file is not in form.
  let batches: Queue<BulkBatch>
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
    ahead: Int,
    past journal: BulkJournal
  ) {
    self.file = file
    self.byteCount = byteCount
    self.batchSize = batchSize
    self.journal = journal
    batches = Queue(capacity: ahead)
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
      self.batches.close()
    }
  }

  private func read(_ column: String) throws {
    var header = CSVReader()
    var bytes: [UInt8] = []
    var offset = 0
    while case .needBytes = try header.next(in: bytes.span, at: &offset) {
      bytes = try nextBytes()
      offset = 0
      if bytes.isEmpty {
        guard try header.end() else { throw CommandFailure(.failure, "the file is empty") }
        break
      }
    }
    let place = try Self.place(of: column, in: header.fields)
    var reader = CSVReader(keeping: place, line: header.line)
    var batch = BulkBatch(number: 0)
    while !bytes.isEmpty {
      while case .record = try reader.next(in: bytes.span, at: &offset) {
        try take(&reader, place, &batch)
      }
      bytes = try nextBytes()
      offset = 0
    }
    if try reader.end() { try take(&reader, place, &batch) }
    if batch.rowCount > 0 { try put(&batch) }
  }

  private func nextBytes() throws(SystemError) -> [UInt8] {
    let bytes = try file.read(upTo: 256 << 10)
    readCount.add(Int64(bytes.count), ordering: .relaxed)
    return bytes
  }

  private static func place(of column: String, in names: [[UInt8]]) throws -> Int {
    if let place = names.firstIndex(of: Array(column.utf8)) { return place }
    if let number = Int(column), 1...names.count ~= number { return number - 1 }
    let known = names.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", ")
    throw CommandFailure(.failure, "there is no column \(column); there are: \(known)")
  }

  private func take(_ reader: inout CSVReader, _ place: Int, _ batch: inout BulkBatch) throws {
    guard place < reader.fieldCount else {
      throw CommandFailure(.failure, "line \(reader.line - 1) has no field \(place + 1)")
    }
    batch.append(reader.field(place))
    guard batch.rowCount == batchSize else { return }
    try put(&batch)
    batch = BulkBatch(number: batch.number + 1, byteCount: batch.body.count)
  }

  private func put(_ batch: inout BulkBatch) throws(QueueFailure) {
    batch.close()
    if !journal.contains(batch.number) { try batches.put(batch) }
  }
}
