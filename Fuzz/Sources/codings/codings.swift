import Compression
import HTTPMessage
import Invariants

private let codings: [ContentCoding] = [.gzip, .brotli, .zstandard]
private let limits = DecodingLimits(byteCount: 1 << 20, ratio: 100, freeByteCount: 1 << 16)

/// Called by libFuzzer with each input: a digit that says which coding it is, and a body that is to be decoded;
/// then the same bytes are coded.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCodings(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  guard let first = bytes.first else { return 0 }
  let coding = codings[Int(first) % codings.count]
  let body = Array(bytes[1...])
  guard let decoder = Decoder(coding, limits: limits),
    let encoder = Encoder(coding, level: 1 + count % 5, window: .large)
  else { return 0 }
  let whole = decoded(decoder, [body], block: 65_536)
  for cuts in cuts(of: body) {
    let some = decoded(decoder, pieces(of: body, at: cuts), block: 1 + cuts.count * 7 % 5000)
    require(some == whole, "every split gives the same")
  }
  guard let coded = encoded(encoder, pieces(of: body, at: cuts(of: body).last ?? [])) else {
    require(false, "what is given can be coded")
    return 0
  }
  require(coded.count <= body.count + body.count / 100 + 128, "what is coded grows by little")
  if let whole = decoded(decoder, [coded], block: 4096) {
    require(whole == body, "what was coded is what comes back")
  } else {
    require(body.count > limits.freeByteCount / 2, "what was coded can be decoded")
  }
  return 0
}

private func pieces(of bytes: [UInt8], at cuts: [Int]) -> [[UInt8]] {
  var pieces: [[UInt8]] = []
  var start = 0
  for cut in cuts + [bytes.count] where cut >= start {
    pieces.append(Array(bytes[start..<cut]))
    start = cut
  }
  return pieces
}

/// What a body stands for; nil where it is refused.
private func decoded(_ decoder: Decoder, _ pieces: [[UInt8]], block size: Int) -> [UInt8]? {
  var block = CodedBlock(capacity: size)
  var all: [UInt8] = []
  do throws(CodingError) {
    try decoder.begin()
    for index in pieces.indices {
      var offset = 0
      let push: Push = index == pieces.count - 1 ? .end : .more
      let piece = pieces[index]
      while try !decoder.decode(piece.span, from: &offset, push, into: &block) {
        require(block.count <= size, "a block is no larger than it may be")
        all += block.bytes
        block.removeAll()
      }
      all += block.bytes
      block.removeAll()
    }
  } catch {
    return nil
  }
  require(all.count <= limits.byteCount, "no more comes than may")
  return all
}

private func encoded(_ encoder: Encoder, _ pieces: [[UInt8]]) -> [UInt8]? {
  var block = CodedBlock(capacity: 1000)
  var all: [UInt8] = []
  do throws(CodingError) {
    try encoder.begin(length: nil)
    for index in pieces.indices {
      var offset = 0
      let push: Push = index == pieces.count - 1 ? .end : .more
      let piece = pieces[index]
      while try !encoder.encode(piece.span, from: &offset, push, into: &block) {
        all += block.bytes
        block.removeAll()
      }
      all += block.bytes
      block.removeAll()
    }
  } catch {
    return nil
  }
  return all
}
