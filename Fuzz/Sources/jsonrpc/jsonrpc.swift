import Invariants
import JSON
import JSONRPC

/// The lines of a stream that comes in these parts, as far as one is not too long.
private func lines(_ bytes: [UInt8], cuts: [Int]) -> [[UInt8]?] {
  var reader = MessageLines(byteLimit: 4096)
  var lines: [[UInt8]?] = []
  var start = 0
  for end in cuts + [bytes.count] {
    reader.receive(Array(bytes[start..<end]).span)
    start = end
    do throws(MessageLines.Failure) {
      while let line = try reader.next() { lines.append(line) }
    } catch {
      return lines + [nil]
    }
  }
  return lines
}

/// The value that a text is; nil when it is none.
private func read(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) -> JSONValue? {
  do throws(JSONError) {
    return try JSONValue(parsing: bytes, limits: limits)
  } catch {
    return nil
  }
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMessages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let whole = lines(bytes, cuts: [])
  for cuts in cuts(of: bytes) {
    require(lines(bytes, cuts: cuts) == whole, "every split gives the same")
  }
  let message = RPCMessage(bytes)
  require(!message.items.isEmpty, "whatever is sent, there is something to answer")
  require(message.items.count <= RPCLimits().batchCount, "a batch has its bound")
  guard let value = read(bytes) else { return 0 }
  for text in [value.compact, value.formatted()] {
    // Escapes may make a text longer than what was read.
    let again = read(Array(text.utf8), limits: JSONLimits(byteCount: .max))
    require(again == value, "what is written is read as the same value")
  }
  return 0
}
