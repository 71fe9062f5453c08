import Cache
import Testing

@Suite("The sketch of frequencies")
struct FrequencySketchTests {
  @Test("never says less than was counted, as long as nothing was halved")
  func neverLess() {
    var sketch = FrequencySketch(keyCount: 1024)
    var numbers = Numbers(state: 7)
    var counts: [UInt64: Int] = [:]
    for _ in 0..<2000 {
      let key = numbers.next() % 300
      sketch.add(key)
      counts[key, default: 0] += 1
    }
    for (key, count) in counts {
      #expect(sketch.frequency(of: key) >= min(count, FrequencySketch.most))
    }
  }

  @Test("says hardly more than was counted")
  func hardlyMore() {
    var sketch = FrequencySketch(keyCount: 4096)
    var numbers = Numbers(state: 11)
    let keys = (0..<2000).map { _ in numbers.next() }
    for key in keys { sketch.add(key) }
    #expect(keys.count { sketch.frequency(of: $0) > 1 } < 100)
    let others = (0..<2000).map { _ in numbers.next() }
    #expect(others.count { sketch.frequency(of: $0) > 0 } < 200)
  }

  @Test("forgets half of what was long ago")
  func halves() {
    var sketch = FrequencySketch(keyCount: 64)
    for _ in 0..<15 { sketch.add(1) }
    #expect(sketch.frequency(of: 1) == 15)
    var numbers = Numbers(state: 3)
    for _ in 0..<640 { sketch.add(numbers.next()) }
    #expect(sketch.frequency(of: 1) < 15)
  }

  @Test("grows for more keys and not for fewer", arguments: [(64, 64), (65, 128), (1000, 1024)])
  func grows(wanted: Int, count: Int) {
    var sketch = FrequencySketch(keyCount: 10)
    #expect(sketch.keyCount == 64)
    sketch.grow(toKeyCount: wanted)
    #expect(sketch.keyCount == count)
    sketch.add(5)
    sketch.grow(toKeyCount: 1)
    #expect(sketch.keyCount == count && sketch.frequency(of: 5) == 1)
  }
}
