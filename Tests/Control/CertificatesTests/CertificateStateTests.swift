import Certificates
import Testing

@Suite("The time of a certificate")
struct CertificateStateTests {
  private static let day: Int64 = 86_400

  /// Of ninety days.
  private func phase(after seconds: Int64) -> CertificateState.Phase {
    CertificateState(1_000...1_000 + 90 * Self.day, at: 1_000 + seconds).phase
  }

  @Test("is good from its first second to its last one, and its last two weeks are told of")
  func phases() {
    #expect(phase(after: -1) == .early)
    #expect(phase(after: 0) == .good)
    #expect(phase(after: 76 * Self.day - 1) == .good)
    #expect(phase(after: 76 * Self.day) == .ending)
    #expect(phase(after: 90 * Self.day) == .ending)
    #expect(phase(after: 90 * Self.day + 1) == .over)
  }

  @Test("is looked at again when that changes, until it is over")
  func next() throws {
    var now: Int64 = 0
    var phases: [CertificateState.Phase] = []
    while true {
      let state = CertificateState(1_000...1_000 + 90 * Self.day, at: now)
      phases.append(state.phase)
      guard let next = state.next else { break }
      try #require(next > now)
      now = next
    }
    #expect(phases == [.early, .good, .ending, .over])
  }

  @Test("that is short is told of in its last quarter")
  func short() {
    let week = 0...7 * Self.day
    #expect(CertificateState(week, at: 7 * Self.day * 3 / 4 - 1).phase == .good)
    #expect(CertificateState(week, at: 7 * Self.day * 3 / 4).phase == .ending)
  }

  @Test("that ends before it begins is over")
  func nothing() { #expect(CertificateState(100...100, at: 100).phase == .over) }

  @Test("is told in words")
  func words() {
    let month = 1_577_836_800...1_580_515_200 as ClosedRange<Int64>
    let over = CertificateState(month, at: 1_600_000_000).problem(for: "clients")
    #expect(over == "it has expired at 2020-02-01 00:00, and clients refuse it: replace it")
    let early = CertificateState(month, at: 0).problem(for: "members")
    #expect(early == "it is good from 2020-01-01 00:00 on, and members refuse it before")
    #expect(CertificateState(month, at: 1_577_836_801).problem(for: "clients").isEmpty)
  }
}
