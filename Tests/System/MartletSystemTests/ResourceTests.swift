import MartletSystem
import Testing

@Suite("Resources")
struct ResourceTests {
  @Test("tell how many descriptors are open, and how many may be")
  func descriptors() throws {
    let before = try #require(Resources.openDescriptorCount())
    let limit = try #require(Resources.descriptorLimit())
    #expect((3..<limit).contains(before))
    let files = try (0..<100).map { try OpenFileBox("/dev/null", number: $0) }
    // Other tests open and close files meanwhile, but not that many.
    #expect(try #require(Resources.openDescriptorCount()) > before + 50)
    #expect(files.count == 100)
  }

  @Test("tell how much memory is held, and how much may be")
  func memory() throws {
    let bytes = try #require(Resources.residentBytes())
    #expect((1 << 20..<1 << 40).contains(bytes))
    if let limit = Resources.memoryLimit() { #expect(limit > 1 << 20) }
  }
}

/// Holds a file open.
private final class OpenFileBox {
  private let file: Descriptor
  private let number: Int

  init(_ path: String, number: Int) throws {
    file = try Descriptor.open(path, .read)
    self.number = number
  }
}
