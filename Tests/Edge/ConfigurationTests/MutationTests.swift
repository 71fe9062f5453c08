import Configuration
import Directives
import Testing

/// Numbers that look random and are the same on each run.
private struct Numbers {
  var state: UInt64

  mutating func next(below bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
  }
}

@Suite("Whatever the text")
struct MutationTests {
  static var seeds: [String] {
    get throws {
      try ExampleTests.names.map { try repositoryFile("Examples/\($0)") }
        + ErrorCase.all.map(\.text)
    }
  }

  /// Checks what must be true of any text.
  private func check(_ bytes: [UInt8], _ what: String) {
    let loaded = ConfigurationLoader.load(SourceBundle(name: "a.conf", bytes: bytes))
    let hasErrors = loaded.diagnostics.contains { $0.severity == .error }
    #expect((loaded.configuration == nil) == hasErrors, "\(what)")
    #expect((loaded.effective == nil) == hasErrors, "\(what)")
    #expect(loaded.diagnostics.count <= Diagnostic.maxCount, "\(what)")
    _ = loaded.rendered()
    guard let text = SourceText(name: "a.conf", bytes: bytes).formatted().text else {
      #expect(hasErrors, "\(what)")
      return
    }
    #expect(SourceText(name: "a.conf", text).formatted().text == text, "\(what)")
    let again = ConfigurationLoader.load(name: "a.conf", text: text)
    #expect(again.configuration == loaded.configuration, "\(what)")
    #expect(
      again.diagnostics.map(\.problem).sorted() == loaded.diagnostics.map(\.problem).sorted(),
      "\(what)"
    )
  }

  @Test("it is read or refused, and its usual form means the same: cut anywhere")
  func cuts() throws {
    for (place, seed) in try Self.seeds.enumerated() {
      let bytes = Array(seed.utf8)
      for end in stride(from: 0, through: bytes.count, by: place < 6 ? 13 : 3) {
        check(Array(bytes[..<end]), "text \(place) up to \(end)")
      }
    }
  }

  @Test("it is read or refused, and its usual form means the same: bytes changed", arguments: 0..<8)
  func changes(seed: Int) throws {
    let texts = try Self.seeds.map { Array($0.utf8) }
    let spices =
      ["{", "}", "\"", "\"\"\"\n", "\\", "#", "\n", " ", ";", "{env A}", "{client.address}", "\t"]
      .map { Array($0.utf8) } + [[0xFF], [0xC3], [0x00], [0xEF, 0xBB, 0xBF], [0x0D]]
    var numbers = Numbers(state: UInt64(seed))
    for round in 0..<120 {
      var bytes = texts[numbers.next(below: texts.count)]
      for _ in 0...numbers.next(below: 4) where !bytes.isEmpty {
        let start = numbers.next(below: bytes.count)
        let end = min(bytes.count, start + numbers.next(below: 20))
        switch numbers.next(below: 4) {
        case 0: bytes.removeSubrange(start..<end)
        case 1: bytes.insert(contentsOf: Array(bytes[start..<end]), at: start)
        case 2: bytes[start] = UInt8(numbers.next(below: 128))
        default: bytes.insert(contentsOf: spices[numbers.next(below: spices.count)], at: start)
        }
      }
      check(bytes, "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self))")
    }
  }

  @Test("a damaged bundle is refused, or is a bundle", arguments: 0..<4)
  func bundles(seed: Int) throws {
    var numbers = Numbers(state: UInt64(seed))
    var bundle = SourceBundle(name: "a.conf", text: "include b*\nserver { via {env A} }")
    bundle.lists["b*"] = ["b1"]
    bundle.files["b1"] = .missing("gone")
    bundle.environment["A"] = "x"
    let bytes = bundle.encoded()
    for _ in 0..<500 {
      var changed = bytes
      for _ in 0...numbers.next(below: 3) {
        changed[numbers.next(below: changed.count)] = UInt8(numbers.next(below: 256))
      }
      if let read = SourceBundle(encoded: changed) {
        #expect(SourceBundle(encoded: read.encoded()) == read)
        _ = ConfigurationLoader.load(read)
      }
    }
  }
}
