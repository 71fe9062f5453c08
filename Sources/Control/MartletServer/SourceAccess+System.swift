public import Directives
import MartletSystem

extension SourceAccess {
  /// The files and the environment of this machine.
  public static let system = SourceAccess(
    read: { path, limit in
      do throws(SystemError) {
        return .bytes(try Files.read(path, limit: limit))
      } catch {
        return .missing(
          error.code == 27
            ? "it is larger than \(limit) bytes" : SystemError.message(of: error.code)
        )
      }
    },
    list: { pattern in
      let slash = pattern.lastIndex(of: "/")
      let folder = slash.map { String(pattern[...$0]) } ?? ""
      let last = slash.map { pattern[pattern.index(after: $0)...] } ?? pattern[...]
      return Files.names(in: folder.isEmpty ? "." : folder)
        .filter { !$0.hasPrefix(".") && matches(Array($0.utf8)[...], Array(last.utf8)[...]) }
        .map { folder + $0 }
    },
    environment: { Program.ownVariable($0) }
  )

  /// Whether a name has the form of a pattern: `*` is any bytes, `?` is one.
  private static func matches(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    var name = name
    var pattern = pattern
    // Where to go on when what follows the last star does not fit.
    var retry: (name: ArraySlice<UInt8>, pattern: ArraySlice<UInt8>)?
    while !name.isEmpty || !pattern.isEmpty {
      if pattern.first == UInt8(ascii: "*") {
        pattern = pattern.dropFirst()
        retry = (name, pattern)
      } else if let byte = name.first, pattern.first == byte || pattern.first == UInt8(ascii: "?") {
        name = name.dropFirst()
        pattern = pattern.dropFirst()
      } else if let last = retry, !last.name.isEmpty {
        name = last.name.dropFirst()
        pattern = last.pattern
        retry = (name, pattern)
      } else {
        return false
      }
    }
    return true
  }
}
