import Handover
import MartletSystem
import Testing

@Suite("What edges remember")
struct EdgeMemoryTests {
  @Test("is there for the next one, as it was written last")
  func next() throws {
    let file = try EdgeMemory.makeFile()
    let first = EdgeMemory(file)
    #expect(first.bytes(of: "health") == nil)
    #expect(first.store([1, 2, 3], as: "health"))
    #expect(first.store(Array(repeating: 7, count: 1 << 20), as: "other"))
    #expect(first.store([4], as: "health"))
    let second = EdgeMemory(file)
    #expect(second.bytes(of: "health") == [4])
    #expect(second.bytes(of: "other")?.count == 1 << 20)
    #expect(second.store([], as: "other"))
    #expect(EdgeMemory(file).bytes(of: "other") == [])
  }

  @Test("is refused where there is no room, and what was there stays")
  func room() throws {
    let file = try EdgeMemory.makeFile()
    let memory = EdgeMemory(file)
    #expect(memory.store([1], as: "a"))
    #expect(!memory.store(Array(repeating: 0, count: EdgeMemory.byteCount), as: "b"))
    for number in 1..<EdgeMemory.partCount { #expect(memory.store([2], as: "\(number)")) }
    #expect(!memory.store([3], as: "one more"))
    #expect(EdgeMemory(file).bytes(of: "a") == [1])
  }

  @Test("is nothing where it was cut or spoilt")
  func spoilt() throws {
    let file = try EdgeMemory.makeFile()
    #expect(EdgeMemory(file).store(Array(0..<200), as: "health"))
    let whole = try file.descriptor.read(upTo: 256, at: 0)
    // The head, and the part with its two lengths.
    for index in 0..<24 + 4 + 6 + 4 + 200 {
      _ = try file.descriptor.write([whole[index] ^ 0x55], at: index)
      #expect(EdgeMemory(file).bytes(of: "health") == nil, "byte \(index)")
      _ = try file.descriptor.write([whole[index]], at: index)
    }
    #expect(EdgeMemory(file).bytes(of: "health") != nil)
  }

  @Test("cannot grow beyond its size")
  func size() throws {
    let file = try EdgeMemory.makeFile()
    #expect(throws: SystemError.self) {
      _ = try file.descriptor.write([1], at: EdgeMemory.byteCount)
    }
  }
}
