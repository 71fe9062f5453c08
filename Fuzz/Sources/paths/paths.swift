import HTTPMessage
import Invariants

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPaths(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = unsafe input(start, count)
  let path: RelativePath
  do throws(RelativePath.Refusal) {
    path = try RelativePath(bytes.span)
  } catch {
    return 0
  }
  require(path.bytes.count <= RelativePath.pathBytes, "a path has a limit")
  require(String(validating: path.bytes, as: UTF8.self) != nil, "a path is UTF-8")
  require(path.bytes.first != 0x2F && path.bytes.last != 0x2F, "a slash stands between names alone")
  require(
    path.bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C },
    "no control byte and no backslash"
  )
  let names = path.bytes.split(separator: 0x2F, omittingEmptySubsequences: false)
  for name in names where !path.bytes.isEmpty {
    require(!name.isEmpty && name.count <= RelativePath.nameBytes, "names have bytes, and not many")
    require(name != [0x2E] && name != [0x2E, 0x2E], "no name leads anywhere")
  }
  let isHidden = names.enumerated().contains { index, name in
    name.first == 0x2E && (index > 0 || name != Array(".well-known".utf8)[...])
  }
  require(path.isHidden == isHidden, "what begins with a dot is hidden")
  // What was decoded and is escaped again is the same path.
  var escaped: [UInt8] = []
  for byte in path.bytes {
    if byte == 0x2F {
      escaped.append(byte)
    } else {
      let digits = Array("0123456789abcdef".utf8)
      escaped += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  if path.isFolder { escaped.append(0x2F) }
  do throws(RelativePath.Refusal) {
    require(try RelativePath(escaped.span) == path, "a path means one thing")
  } catch {
    require(false, "a path that is escaped is the same")
  }
  return 0
}
