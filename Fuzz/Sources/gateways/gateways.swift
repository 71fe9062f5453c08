import GatewayProtocols
import Invariants

/// What an answer is read as, up to its end, its defect or the end of the bytes.
private struct Reading: Hashable {
  var text: [UInt8] = []
  var said: [UInt8] = []
  var fault: GatewayFault?
  var hasEnded = false
}

private func read(_ bytes: [UInt8], cuts: [Int], _ form: GatewayProtocol, isHead: Bool) -> Reading {
  var answer = GatewayAnswer(form, headByteLimit: 4096)
  answer.begin(isHead: isHead)
  var reading = Reading()
  var start = 0
  for end in cuts + [bytes.count] {
    do throws(GatewayFault) {
      try answer.receive(bytes.span.extracting(start..<end))
    } catch {
      reading.fault = error
      return reading
    }
    start = end
    drain(&answer, into: &reading)
  }
  answer.receiveEnd()
  drain(&answer, into: &reading)
  reading.hasEnded = answer.hasEnded
  return reading
}

private func drain(_ answer: inout GatewayAnswer, into reading: inout Reading) {
  while answer.hasOutput {
    let count = answer.read(upTo: 64) { piece in
      require(piece.count <= 64, "no more is given than was asked for")
      for index in piece.indices { reading.text.append(piece[index]) }
    }
    require(count > 0, "what is there is given")
  }
  if let said = answer.takeSaid() { reading.said += said }
}

/// The text behind the first empty line, without the framing of chunks.
private func content(_ text: [UInt8]) -> [UInt8] {
  guard
    let end = text.indices.dropLast(3).first(where: {
      Array(text[$0..<$0 + 4]) == [13, 10, 13, 10]
    })
  else { return [] }
  let head = String(decoding: text[..<end], as: UTF8.self)
  var rest = text[(end + 4)...]
  guard head.contains("\r\nTransfer-Encoding: chunked") else { return Array(rest) }
  var content: [UInt8] = []
  while let line = rest.firstIndex(of: 10) {
    let size = Int(String(decoding: rest[..<(line - 1)], as: UTF8.self), radix: 16) ?? 0
    if size == 0 { break }
    content += rest[(line + 1)..<(line + 1 + size)]
    rest = rest[(line + 3 + size)...]
  }
  return content
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGateways(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  for form in [GatewayProtocol.fastCGI, .scgi] {
    for isHead in [false, true] {
      let whole = read(bytes, cuts: [], form, isHead: isHead)
      for cuts in cuts(of: bytes) {
        let split = read(bytes, cuts: cuts, form, isHead: isHead)
        require(split.fault == whole.fault, "every split has the same defect")
        guard whole.fault == nil else { continue }
        require(split.hasEnded == whole.hasEnded, "every split has the same end")
        require(split.said == whole.said, "every split says the same besides")
        require(content(split.text) == content(whole.text), "every split has the same content")
      }
    }
  }
  checkPath(bytes)
  return 0
}

private func checkPath(_ bytes: [UInt8]) {
  do throws(ScriptPath.Problem) {
    let path = try ScriptPath(bytes.span, endings: [Array(".php".utf8)], index: Array("i.php".utf8))
    require(path.script.first == 0x2F && path.script.count > 5, "a script has a name")
    require(path.script.suffix(4).elementsEqual(".php".utf8), "a script has the ending")
    require(path.rest.isEmpty || path.rest.first == 0x2F, "what is left is a path")
    let decoded = try ScriptPath.decoded(bytes.span)
    let all = path.script + path.rest
    require(all == decoded || all == decoded + Array("i.php".utf8), "nothing is lost or added")
  } catch {
    return
  }
}
