// Two processes that talk by all that Linux has for it, with one type of message.
import MartletProcess
import MartletSystem

struct Note: Codable, Sendable {
  var number: Int
  var words: [String]
}

/// What both sides open, by names that only they know.
struct Ways {
  let names: String

  func pipes(isParent: Bool) throws -> any MessageCarrier {
    // Both ends as one: neither side need wait until the other has opened it.
    let mine = try NamedPipe.openBoth("/tmp\(names)-\(isParent ? "back" : "there")")
    let others = try NamedPipe.openBoth("/tmp\(names)-\(isParent ? "there" : "back")")
    return try PipeCarrier(reading: mine, writing: others)
  }

  func queue(_ direction: String) throws -> any MessageCarrier {
    let shape = MessageQueue.Shape(messageCount: 4, messageBytes: 512)
    return QueueCarrier(try MessageQueue("\(names)-\(direction)", making: shape))
  }

  func ring(_ direction: String, makes: Bool) throws -> any MessageCarrier {
    let (name, bytes) = ("\(names)-\(direction)", SharedRing.byteCount(capacity: 4096))
    let memory = makes ? try SharedMemory.make(name, byteCount: bytes) : try SharedMemory.open(name)
    let ring = SharedRing(capacity: 4096, in: memory)
    if makes { try ring.prepare() }
    return RingCarrier(ring)
  }

  func remove() throws {
    for direction in ["there", "back"] {
      try Files.remove("/tmp\(names)-\(direction)")
      try MessageQueue.remove("\(names)-\(direction)")
      try SharedMemory.remove("\(names)-\(direction)")
    }
  }
}

/// Says back what comes, until nothing does.
func echo(from source: any MessageCarrier, to target: any MessageCarrier, _ count: Int) throws {
  for _ in 0..<count {
    guard let note = try ProcessChannel<Note>(over: source).receive(within: .seconds(30)) else {
      return
    }
    try ProcessChannel<Note>(over: target).send(note, within: .seconds(30))
  }
}

func talk(_ way: String, to target: any MessageCarrier, from source: any MessageCarrier) throws {
  var backCount = 0
  for number in 0..<100 {
    let note = Note(number: number, words: ["by", way])
    try ProcessChannel<Note>(over: target).send(note, within: .seconds(30))
    let back = try ProcessChannel<Note>(over: source).receive(within: .seconds(30))
    if back?.number == number { backCount += 1 }
  }
  print("\(way): \(backCount) notes came back")
}

func parent() throws {
  let ways = Ways(names: "/talk-\(Processes.own)")
  for direction in ["there", "back"] { try NamedPipe.make("/tmp\(ways.names)-\(direction)") }
  defer { do { try ways.remove() } catch { print(error) } }
  let queues = (try ways.queue("there"), try ways.queue("back"))
  let rings = (try ways.ring("there", makes: true), try ways.ring("back", makes: true))
  let pipes = try ways.pipes(isParent: true)
  // The socket goes to the child as its descriptor 3; it ends when this process does.
  let (mine, its) = try OpenFile.messagePair()
  var child = Program("/proc/self/exe", arguments: ["child", ways.names])
  child.endsWithParent = true
  let number = try child.spawn(descriptors: [its.number])
  let socket = SocketCarrier(mine)
  try talk("socket", to: socket, from: socket)
  try talk("named pipes", to: pipes, from: pipes)
  try talk("message queues", to: queues.0, from: queues.1)
  try talk("shared memory", to: rings.0, from: rings.1)
  // A descriptor, with the word of the kernel for who sends it.
  try mine.descriptor.tellSenders()
  var bytes = [UInt8](repeating: 0, count: 64)
  let message = try mine.descriptor.takeMessage(into: &bytes, waits: true)
  guard let descriptor = message.descriptor else { return }
  let memory = try SharedMemory(adopting: OpenFile(adopting: descriptor))
  print(
    "process \(message.sender?.process == number ? "number" : "other") sent \(memory.byteCount) bytes"
  )
}

func child(_ names: String) throws {
  let ways = Ways(names: names)
  let file = OpenFile(adopting: 3)
  let (socket, pipes) = (SocketCarrier(file), try ways.pipes(isParent: false))
  try echo(from: socket, to: socket, 100)
  try echo(from: pipes, to: pipes, 100)
  try echo(from: ways.queue("there"), to: ways.queue("back"), 100)
  try echo(from: ways.ring("there", makes: false), to: ways.ring("back", makes: false), 100)
  let memory = try SharedMemory(byteCount: 1000)
  try file.descriptor.sendMessage([1], descriptor: memory.file.number, telling: true)
}

do {
  let arguments = CommandLine.arguments
  if arguments.count == 3 { try child(arguments[2]) } else { try parent() }
} catch {
  print(error)
}
