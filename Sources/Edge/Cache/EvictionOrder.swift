/// In which order things that are kept make room: those that were used once, the one used longest ago first;
/// then those that were used again.
///
/// A thing is known by a number of the caller's choosing, best a small one. Those that were used again have at
/// most four fifths of all bytes; who is pushed out of there begins once more among the others.
///
/// - Source: Karedla, Love and Wherry, "Caching Strategies to Improve Disk System Performance", 1994.
public struct EvictionOrder: Sendable {
  private struct Link: Sendable {
    var previous: Int32 = -1
    var next: Int32 = -1
    var byteCount = 0
    var isProtected = false
    var isListed = false
  }

  private struct List: Sendable {
    /// The one used last.
    var first: Int32 = -1
    /// The one used longest ago.
    var last: Int32 = -1
    var byteCount = 0
  }

  private var links: [Link] = []
  private var probation = List()
  private var protection = List()
  /// How many things there are.
  public private(set) var count = 0

  /// Creates an order without anything in it.
  public init() {}

  /// The bytes of all things.
  public var byteCount: Int { probation.byteCount + protection.byteCount }

  /// The bytes of those that were used again.
  public var protectedByteCount: Int { protection.byteCount }

  /// Takes in a thing that was not there, as the one used last of those used once.
  public mutating func insert(_ number: Int, byteCount: Int) {
    while links.count <= number { links.append(Link()) }
    precondition(!links[number].isListed, "a thing is taken in twice")
    links[number] = Link(byteCount: byteCount, isListed: true)
    push(Int32(number), isProtected: false)
    count += 1
  }

  /// Notes that a thing was used again.
  public mutating func use(_ number: Int) {
    let number = Int32(number)
    if links[Int(number)].isProtected {
      guard protection.first != number else { return }
      unlink(number)
      push(number, isProtected: true)
      return
    }
    unlink(number)
    push(number, isProtected: true)
    while protection.byteCount > byteCount / 5 * 4, protection.last != number {
      let demoted = protection.last
      unlink(demoted)
      push(demoted, isProtected: false)
    }
  }

  /// Takes a thing out.
  public mutating func remove(_ number: Int) {
    precondition(links[number].isListed, "a thing is taken out that is not there")
    unlink(Int32(number))
    links[number] = Link()
    count -= 1
  }

  /// The thing that is the first to make room; nil when there is none.
  public var victim: Int? {
    if probation.last >= 0 { return Int(probation.last) }
    return protection.last >= 0 ? Int(protection.last) : nil
  }

  /// The thing that makes room after this one.
  public func victim(after number: Int) -> Int? {
    let link = links[number]
    if link.previous >= 0 { return Int(link.previous) }
    return !link.isProtected && protection.last >= 0 ? Int(protection.last) : nil
  }

  private mutating func push(_ number: Int32, isProtected: Bool) {
    var list = isProtected ? protection : probation
    let index = Int(number)
    links[index].isProtected = isProtected
    links[index].previous = -1
    links[index].next = list.first
    if list.first >= 0 { links[Int(list.first)].previous = number } else { list.last = number }
    list.first = number
    list.byteCount += links[index].byteCount
    if isProtected { protection = list } else { probation = list }
  }

  private mutating func unlink(_ number: Int32) {
    let link = links[Int(number)]
    var list = link.isProtected ? protection : probation
    if link.previous >= 0 {
      links[Int(link.previous)].next = link.next
    } else {
      list.first = link.next
    }
    if link.next >= 0 {
      links[Int(link.next)].previous = link.previous
    } else {
      list.last = link.previous
    }
    list.byteCount -= link.byteCount
    if link.isProtected { protection = list } else { probation = list }
  }
}
