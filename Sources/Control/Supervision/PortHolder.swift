import MartletSystem

/// The process that listens on an address which is in use.
struct PortHolder {
  var process: Int32
  var name: String

  /// Looks for the listener of a TCP port, or of a Unix path.
  ///
  /// Only processes whose descriptors may be looked at are found: for root all of them.
  ///
  /// - Complexity: O(*n*) in the descriptors of all processes: for the message of a failure.
  static func find(_ address: SocketAddress) -> PortHolder? {
    let inodes = address.port.map { Self.inodes(port: $0) } ?? Self.inodes(path: address)
    guard !inodes.isEmpty else { return nil }
    let targets = Set(inodes.map { "socket:[\($0)]" })
    for process in Files.names(in: "/proc").compactMap({ Int32($0) }) {
      let descriptors = Files.names(in: "/proc/\(process)/fd")
      guard descriptors.contains(where: { targets.contains(target(process, $0)) }) else { continue }
      return PortHolder(process: process, name: name(of: process))
    }
    return nil
  }

  /// The sockets that listen on a port, from `/proc/net/tcp`, see `proc_net_tcp.txt` of the kernel.
  private static func inodes(port: UInt16) -> [Substring] {
    lines(of: "/proc/net/tcp", "/proc/net/tcp6").compactMap { fields in
      guard fields.count > 9, fields[3] == "0A",
        let local = fields[1].split(separator: ":").last, UInt16(local, radix: 16) == port
      else { return nil }
      return fields[9]
    }
  }

  private static func inodes(path: SocketAddress) -> [Substring] {
    guard case .unix(let path) = path else { return [] }
    return lines(of: "/proc/net/unix").compactMap { fields in
      fields.count > 7 && fields[7] == path ? fields[6] : nil
    }
  }

  private static func lines(of paths: String...) -> [[Substring]] {
    paths.flatMap { path -> [[Substring]] in
      do throws(SystemError) {
        let text = String(decoding: try Files.read(path, limit: 16 << 20), as: UTF8.self)
        return text.split(separator: "\n").map { $0.split(separator: " ") }
      } catch {
        return []
      }
    }
  }

  private static func target(_ process: Int32, _ descriptor: String) -> String {
    do throws(SystemError) {
      return try Files.target(of: "/proc/\(process)/fd/\(descriptor)")
    } catch {
      return ""
    }
  }

  private static func name(of process: Int32) -> String {
    do throws(SystemError) {
      let bytes = try Files.read("/proc/\(process)/comm", limit: 4096)
      return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
    } catch {
      return "?"
    }
  }
}
