import CLinux
import MartletProcess
import MartletSystem

/// Processes that take something, say so, and wait to be killed.
enum Holders {
  static func hold(_ kind: String, _ name: String) throws {
    switch kind {
    case "lock": try holdLock(name)
    case "semaphore": try holdPermit(name)
    case "ring": try fillRing(name)
    case "part": try holdPart(name)
    default: TestProgram.tell("unknown")
    }
    while true { _ = pause() }
  }

  private static func holdLock(_ name: String) throws {
    let lock = SharedLock(in: try SharedMemory.open(name), at: 0)
    lock.lock()
    TestProgram.tell("held")
    while true { _ = pause() }
  }

  private static func holdPermit(_ name: String) throws {
    let permits = SharedSemaphore(permits: 2, in: try SharedMemory.open(name), at: 0)
    _ = permits.acquire()
    _ = permits.acquire()
    TestProgram.tell("held")
  }

  /// Puts numbers in, one after the other, without end.
  private static func fillRing(_ name: String) throws {
    let memory = try SharedMemory.open(name)
    let ring = SharedRing(
      capacity: memory.byteCount - SharedRing.byteCount(capacity: 0),
      in: memory
    )
    let channel = ProcessChannel<[Int]>(over: RingCarrier(ring))
    TestProgram.tell("held")
    var number = 0
    while true {
      try channel.send(Array(repeating: number, count: 20))
      number += 1
    }
  }

  private static func holdPart(_ path: String) throws {
    let file = OpenFile(try Descriptor.openShared(path))
    try file.descriptor.lock(part: 0..<10, .exclusive)
    TestProgram.tell("held")
    while true { _ = pause() }
  }

  /// Becomes a daemon that writes its number to a file and waits, or one that does not become ready.
  static func detach(_ file: String) throws {
    do {
      switch try Daemon.detach() {
      case .starter(let process, let words): TestProgram.tell("\(process)\(words)")
      case .daemon(let daemon):
        if file == "none" {
          daemon.fails(saying: "no file")
          TestProgram.end(7)
        }
        let written = try Descriptor.open(file, .replace)
        try written.writeAll(Array("\(Processes.own)\n".utf8))
        daemon.isReady()
        while true { _ = pause() }
      }
    } catch let failure as Daemon.Failure {
      TestProgram.tell("\(failure)")
    }
  }

  /// Starts a child that starts another, which is left when the first one ends, and adopts it.
  static func adopt() throws {
    try Processes.adoptOrphans()
    let script = "sleep 1000 & echo $!"
    let output = try OpenFile.pipe()
    var shell = Program("/bin/sh", arguments: ["-c", script])
    shell.standard.output = .descriptor(output.1.number)
    let number = try shell.spawn()
    var ended: [Int32] = []
    while !ended.contains(number) {
      if let (process, _) = try Processes.reapAny() { ended.append(process) } else { sched_yield() }
    }
    let text = String(decoding: try output.0.descriptor.read(upTo: 20), as: UTF8.self)
    guard let orphan = Int32(text.filter(\.isNumber)) else { return TestProgram.tell("no orphan") }
    TestProgram.tell("\(Processes.children(of: Processes.own) == [orphan])")
    Processes.killTree(orphan)
    while !ended.contains(orphan) {
      if let (process, _) = try Processes.reapAny() { ended.append(process) } else { sched_yield() }
    }
    TestProgram.tell("\(Processes.children(of: Processes.own))")
  }
}
