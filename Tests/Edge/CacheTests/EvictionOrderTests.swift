import Cache
import Testing

@Suite("The order in which things make room")
struct EvictionOrderTests {
  /// All things, the first to go first.
  private func all(_ order: EvictionOrder) -> [Int] {
    var found: [Int] = []
    var next = order.victim
    while let number = next {
      found.append(number)
      next = order.victim(after: number)
    }
    return found
  }

  @Test("is that of the last use, those used once first")
  func uses() {
    var order = EvictionOrder()
    for number in 0..<5 { order.insert(number, byteCount: 10) }
    #expect(all(order) == [0, 1, 2, 3, 4])
    order.use(0)
    order.use(3)
    #expect(all(order) == [1, 2, 4, 0, 3])
    order.use(0)
    #expect(all(order) == [1, 2, 4, 3, 0])
    order.remove(2)
    #expect(all(order) == [1, 4, 3, 0] && order.byteCount == 40 && order.count == 4)
  }

  @Test("gives at most four fifths to those used again")
  func protects() {
    var order = EvictionOrder()
    for number in 0..<10 { order.insert(number, byteCount: 10) }
    for number in 0..<10 { order.use(number) }
    #expect(order.protectedByteCount <= 80)
    // The first of them began once more among the others.
    #expect(all(order).prefix(2) == [0, 1])
  }

  @Test("is that of a plain list, whatever happens", arguments: 0..<20)
  func model(seed: UInt64) {
    var numbers = Numbers(state: seed)
    var order = EvictionOrder()
    var sizes: [Int: Int] = [:]
    for _ in 0..<500 {
      let number = Int(numbers.next() % 40)
      if sizes[number] == nil {
        let size = Int(numbers.next() % 100) + 1
        order.insert(number, byteCount: size)
        sizes[number] = size
      } else if numbers.next() % 3 == 0 {
        order.remove(number)
        sizes[number] = nil
      } else {
        order.use(number)
        #expect(all(order).last == number || order.protectedByteCount == 0)
      }
      #expect(order.byteCount == sizes.values.reduce(0, +))
      #expect(Set(all(order)) == Set(sizes.keys) && all(order).count == order.count)
    }
  }
}
