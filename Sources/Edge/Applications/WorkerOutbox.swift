import MartletSystem

/// Requests that a loop gives to workers in one turn: those for the same worker go in one message.
///
/// Each message wakes a process, which costs more than what it says.
public struct WorkerOutbox {
  private var batches: [(process: ApplicationProcess, requests: [WorkerRequest])] = []

  /// The longest message of several requests, in bytes.
  static let messageBytes = 64 << 10

  /// Creates one that holds nothing.
  public init() {}

  /// Whether there is nothing to send.
  public var isEmpty: Bool { batches.isEmpty }

  /// Puts a request behind those for the same worker.
  mutating func add(_ request: WorkerRequest, for process: ApplicationProcess) {
    if let index = batches.firstIndex(where: { $0.process === process }) {
      batches[index].requests.append(request)
    } else {
      batches.append((process, [request]))
    }
  }

  /// Sends everything; what a worker does not take is in line again.
  public mutating func send(for application: Application) {
    for (process, requests) in batches {
      var rest = requests[...]
      while !rest.isEmpty {
        let part = rest.prefix(Self.countOfMessage(rest))
        do throws(SystemError) {
          try Self.send(part, to: process)
        } catch {
          application.takeBack(rest, from: process, hasEnded: !error.wouldBlock)
          break
        }
        rest = rest.dropFirst(part.count)
      }
    }
    batches.removeAll(keepingCapacity: true)
  }

  /// How many requests the next message holds: one that something goes with goes alone.
  private static func countOfMessage(_ requests: ArraySlice<WorkerRequest>) -> Int {
    var count = 0
    var byteCount = 0
    for request in requests {
      byteCount += request.bytes.count
      if count > 0, request.attachment != nil || byteCount > messageBytes { break }
      count += 1
      if request.attachment != nil { break }
    }
    return count
  }

  private static func send(
    _ requests: ArraySlice<WorkerRequest>,
    to process: ApplicationProcess
  ) throws(SystemError) {
    guard requests.count > 1 else {
      guard let request = requests.first else { return }
      let files = request.attachment.map { [$0.file.number] } ?? []
      _ = try process.requests.descriptor.send(request.bytes.span, descriptors: files)
      return
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(requests.reduce(0) { $0 + $1.bytes.count })
    for request in requests { bytes += request.bytes }
    _ = try process.requests.descriptor.send(bytes.span, descriptors: [])
  }
}
