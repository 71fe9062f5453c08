import MartletSync
import MartletSystem
import Supervision

/// Which batches of a file need not be sent any more, kept in a file of its own.
///
/// Each batch is a line, written before anything more is asked of whoever has acknowledged it, with a stop at its
/// end: of a line that power has cut off nothing is believed. The first line says which run it belongs to.
final class BulkJournal: Sendable {
  fileprivate struct State {
    /// A bit for each batch.
    var words: [UInt64] = []
    var count = 0
  }

  /// The longest journal: two hundred million batches.
  private static let limit = 2 << 30

  private let file: Descriptor
  private let state: Locked<State>

  /// Opens the journal of a run, or begins it.
  init(_ path: String, of run: String) throws(CommandFailure) {
    do throws(SystemError) {
      file = try Descriptor.open(path, .appendSecret)
    } catch {
      throw CommandFailure(.failure, "\(path): \(error)")
    }
    state = Locked(State())
    do {
      try begin(path, "martlet-bulk 1 \(run)")
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.failure, "\(path): \(error)")
    }
  }

  private func begin(_ path: String, _ header: String) throws {
    guard try file.lock() else {
      throw CommandFailure(.failure, "\(path) belongs to a run that is under way")
    }
    let lines = try Files.read(path, limit: Self.limit)
      .split(separator: 0x0A, omittingEmptySubsequences: true)
    guard let first = lines.first else { return try file.writeAll(Array("\(header)\n".utf8)) }
    guard first.elementsEqual(header.utf8) else {
      throw CommandFailure(
        .failure,
        "\(path) belongs to another file, column or size of batch: remove it, or name another --state"
      )
    }
    for line in lines.dropFirst() where line.last == 0x2E {
      guard let number = Int(String(decoding: line.dropLast(), as: UTF8.self)) else { continue }
      state.withLock { $0.add(number) }
    }
    // What a line that was cut off has left ends here.
    try file.writeAll([0x0A])
  }

  /// How many batches it has.
  var count: Int { state.withLock { $0.count } }

  /// Whether a batch need not be sent.
  func contains(_ number: Int) -> Bool { state.withLock { $0.contains(number) } }

  /// Notes that batches need not be sent any more; that is written when this returns, at once.
  func note(_ numbers: [Int]) throws(SystemError) {
    try file.writeAll(Array(numbers.map { "\($0).\n" }.joined().utf8))
    state.withLock { state in
      for number in numbers { state.add(number) }
    }
  }
}

extension BulkJournal.State {
  fileprivate func contains(_ number: Int) -> Bool {
    number / 64 < words.count && words[number / 64] & 1 << UInt64(number % 64) != 0
  }

  fileprivate mutating func add(_ number: Int) {
    guard number >= 0, number < 1 << 32, !contains(number) else { return }
    while words.count <= number / 64 { words.append(0) }
    words[number / 64] |= 1 << UInt64(number % 64)
    count += 1
  }
}
