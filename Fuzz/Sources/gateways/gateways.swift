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

/// Reads the answers to the requests 1 and 2, which share a connection, up to the first defect.
private func readShared(_ bytes: [UInt8], cuts: [Int]) -> [Reading] {
  var decoder = FastCGIDecoder()
  var answers = [GatewayAnswer](repeating: GatewayAnswer(.fastCGI, headByteLimit: 4096), count: 2)
  var readings = [Reading](repeating: Reading(), count: 2)
  for index in answers.indices { answers[index].begin(isHead: false) }
  var start = 0
  for end in cuts + [bytes.count] {
    let piece = bytes.span.extracting(start..<end)
    var offset = 0
    // What is wrong with a record itself is noted with the first one.
    var index = 0
    do throws(GatewayFault) {
      taking: while true {
        index = 0
        let event = try decoder.next(in: piece, at: &offset)
        switch event {
        case .needsBytes: break taking
        case .output(_, let number), .errorOutput(_, let number), .end(let number, _):
          guard number <= 2 else { continue }
          index = Int(number) - 1
          try answers[index].receive(event, of: piece)
          if let said = answers[index].takeSaid() { readings[index].said += said }
        case .values, .unknownKind: continue
        }
      }
    } catch {
      readings[index].fault = error
      return readings
    }
    start = end
    for index in answers.indices {
      answers[index].settle()
      drain(&answers[index], into: &readings[index])
      readings[index].hasEnded = answers[index].hasEnded
    }
  }
  return readings
}

/// Checks that answers which share a connection are the same for every split.
private func checkShared(_ bytes: [UInt8]) {
  let whole = readShared(bytes, cuts: [])
  for cuts in cuts(of: bytes) {
    let split = readShared(bytes, cuts: cuts)
    require(split.map(\.fault) == whole.map(\.fault), "every split has the same defects")
    guard whole.allSatisfy({ $0.fault == nil }) else { continue }
    for (one, other) in zip(split, whole) {
      require(one.hasEnded == other.hasEnded, "every split has the same ends")
      require(one.said == other.said, "every split says the same besides")
      require(content(one.text) == content(other.text), "every split has the same content")
    }
  }
}

/// Checks that what an application says of itself is read, or refused, without anything else.
private func checkValues(_ bytes: [UInt8]) {
  do throws(GatewayFault) {
    let values = try FastCGIValues(bytes.span)
    require(values.requestLimit ?? 0 >= 0, "a number of requests is one")
  } catch {
    require(error == .fieldLine, "pairs are cut short or not")
  }
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
  checkShared(bytes)
  checkValues(bytes)
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
