import MartletBytes
import Stickiness
import Testing

private let now: Int64 = 1_800_000_000
private let keys = ["0123456789abcdef"]

private func seal(
  _ keys: [String] = keys,
  upstream: String = "api",
  cookie: String = "route",
  lifetime: Int64 = 1000
) throws -> MemberSeal {
  try #require(MemberSeal(keys: keys, upstream: upstream, cookie: cookie, lifetime: lifetime))
}

private func content(_ value: [UInt8], _ seal: MemberSeal, at time: Int64 = now) -> MemberIdentity?
{
  seal.content(of: value.span, at: time)?.member
}

@Suite("The cookie that names a member") struct MemberSealTests {
  private let member = MemberIdentity("10.0.0.1:9001")

  @Test("is understood by every machine with the same key")
  func roundTrip() throws {
    let value = try #require(try seal().value(for: member, at: now))
    #expect(value.count == MemberSeal.valueCount)
    #expect(try content(value, seal()) == member)
  }

  @Test("does not show the member, nor that it is the same one")
  func secret() throws {
    let seal = try seal()
    let first = try #require(seal.value(for: member, at: now))
    let second = try #require(seal.value(for: member, at: now))
    let shared = zip(first, second).filter { $0 == $1 }.count
    // Two characters and a half are the epoch's; chance gives one of 64.
    #expect(first != second && shared < 16)
  }

  @Test("of another upstream, cookie or key says nothing")
  func others() throws {
    let value = try #require(try seal().value(for: member, at: now))
    #expect(try content(value, seal(upstream: "apis")) == nil)
    #expect(try content(value, seal(cookie: "routes")) == nil)
    #expect(try content(value, seal(["fedcba9876543210"])) == nil)
  }

  @Test("is good for its lifetime, to the second, and old after half of it")
  func lifetime() throws {
    let seal = try seal()
    let value = try #require(seal.value(for: member, at: now))
    #expect(seal.content(of: value.span, at: now + 500)?.isOld == false)
    #expect(seal.content(of: value.span, at: now + 501)?.isOld == true)
    #expect(content(value, seal, at: now + 1000) == member)
    #expect(content(value, seal, at: now + 1001) == nil)
  }

  @Test("says nothing once a character is another one")
  func forged() throws {
    let seal = try seal()
    let value = try #require(seal.value(for: member, at: now))
    for index in value.indices {
      var other = value
      other[index] = other[index] == 0x41 ? 0x42 : 0x41
      #expect(content(other, seal) == nil, "\(index)")
    }
    #expect(content(Array(value.dropLast()), seal) == nil)
    #expect(content(value + [0x41], seal) == nil)
    #expect(content([], seal) == nil)
  }

  @Test("members have the same identity everywhere, and different ones")
  func identities() {
    #expect(MemberIdentity("10.0.0.1:9001").number == 1_213_155_565_849_744_214)
    let all = Set((0..<100_000).map { MemberIdentity("10.0.\($0 / 256).\($0 % 256):80") })
    #expect(all.count == 100_000)
  }
}
