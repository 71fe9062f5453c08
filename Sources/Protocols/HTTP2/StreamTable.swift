/// What is known of a stream.
///
/// The states of RFC 9113, section 5.1, are two truths: whether the peer has ended its side, and
/// whether we have. A stream that is not in the table is idle or closed; reserved streams do not exist
/// because nothing is ever pushed.
struct StreamRecord: Sendable {
  /// Its number on the wire; 0: the place is free.
  var id: UInt32 = 0
  var remoteEnded = false
  var localEnded = false
  /// Whether it was reset, by us or by the peer: then both sides have ended.
  var isReset = false
  var wasResetByUs = false
  /// Whether the final head of the peer has come: what follows are trailers.
  var headCame = false
  /// Whether our final head was sent.
  var headWent = false
  var isHead = false
  /// Whether its request was an extended CONNECT.
  var isTunnel = false
  /// What may still be sent, which is negative when the peer has made its windows smaller.
  var sendWindow = 0
  /// What the peer may still send, and what it may send at most before anything was consumed.
  var receiveWindow = 0
  var receiveLimit = 0
  /// What has come and was not consumed yet, and what was consumed and not told.
  var unconsumed = 0
  var untold = 0
  /// What is to come of a body of known length; -1: it is not known.
  var contentLeft: Int64 = -1
  var priority = Priority()
  /// Where its last frame stands that could carry END_STREAM, counted from the first byte ever sent.
  var lastFrame = -1

  var isClosed: Bool { remoteEnded && localEnded }
}

/// The streams of a connection, found by their number on the wire.
///
/// Each has a place that it keeps until it is released; the number is found by a table of hashes.
struct StreamTable: Sendable {
  private(set) var records: [StreamRecord] = []
  private var free: [Int] = []
  /// Places plus one, in the order of hashes; 0: nothing.
  private var index: [UInt16] = []
  private(set) var count = 0

  /// The place of a stream.
  func place(of id: UInt32) -> Int? {
    guard !index.isEmpty else { return nil }
    let mask = index.count - 1
    var slot = Self.hash(id) & mask
    while index[slot] != 0 {
      let place = Int(index[slot]) - 1
      if records[place].id == id { return place }
      slot = (slot + 1) & mask
    }
    return nil
  }

  /// Takes a place for a stream that is not in the table.
  mutating func insert(_ record: StreamRecord) -> Int {
    let place: Int
    if let last = free.popLast() {
      place = last
      records[place] = record
    } else {
      place = records.count
      records.append(record)
    }
    count += 1
    if count * 2 > index.count {
      rebuild(size: max(16, index.count * 2))
    } else {
      link(place)
    }
    return place
  }

  /// Frees the place of a stream.
  mutating func remove(_ place: Int) {
    let mask = index.count - 1
    var slot = Self.hash(records[place].id) & mask
    while index[slot] != UInt16(place + 1) { slot = (slot + 1) & mask }
    index[slot] = 0
    records[place] = StreamRecord()
    free.append(place)
    count -= 1
    // Whatever stands behind it may have wanted to stand here.
    var next = (slot + 1) & mask
    while index[next] != 0 {
      let moved = Int(index[next]) - 1
      index[next] = 0
      link(moved)
      next = (next + 1) & mask
    }
  }

  /// Changes a record in place.
  subscript(_ place: Int) -> StreamRecord {
    _read { yield records[place] }
    _modify { yield &records[place] }
  }

  /// The places in use.
  var places: [Int] { records.indices.filter { records[$0].id != 0 } }

  /// Numbers that follow each other are spread: runs are long to mend when one of them is removed.
  private static func hash(_ id: UInt32) -> Int { Int(id &* 0x9E37_79B1 >> 16) }

  private mutating func link(_ place: Int) {
    let mask = index.count - 1
    var slot = Self.hash(records[place].id) & mask
    while index[slot] != 0 { slot = (slot + 1) & mask }
    index[slot] = UInt16(place + 1)
  }

  private mutating func rebuild(size: Int) {
    index = Array(repeating: 0, count: size)
    for place in records.indices where records[place].id != 0 { link(place) }
  }
}

/// The streams that have ended lately: what still comes for them is judged by how they ended.
struct ClosedStreams: Sendable {
  /// How a stream has ended.
  enum End: UInt64, Sendable {
    case ended
    case resetByUs
    case resetByPeer
  }

  private var ring: [UInt64] = []
  private var next = 0
  private static let size = 128

  mutating func note(_ id: UInt32, _ end: End) {
    let word = UInt64(id) << 2 | end.rawValue
    if ring.count < Self.size {
      ring.append(word)
    } else {
      ring[next] = word
      next = (next + 1) % Self.size
    }
  }

  func end(of id: UInt32) -> End? {
    for word in ring where word >> 2 == UInt64(id) { return End(rawValue: word & 3) }
    return nil
  }
}
