import CLinux

/// What this process uses of the machine, and how much it may.
public enum Resources {
  /// How many descriptors it may have open; nil when the kernel does not say.
  ///
  /// System call: `getrlimit(2)`.
  public static func descriptorLimit() -> Int? {
    let limit = martlet_descriptor_limit()
    return limit > 0 ? Int(limit) : nil
  }

  /// Lets it open no descriptor with the number `limit` or above, however many it might have.
  ///
  /// - Throws: ``SystemError``. System call: `setrlimit(2)`.
  public static func limitDescriptors(to limit: Int) throws(SystemError) {
    try check(martlet_set_descriptor_limit(UInt64(limit)), .setrlimit)
  }

  /// How many descriptors it has open; nil when the kernel does not say.
  ///
  /// See `proc(5)`.
  ///
  /// - Complexity: O(1), before Linux 6.2 O(*n*) in the descriptors.
  public static func openDescriptorCount() -> Int? {
    let count = martlet_open_descriptors()
    if count > 0 { return Int(count) }
    // The directory that is read is open itself.
    let names = Files.names(in: "/proc/self/fd").count
    return names > 1 ? names - 1 : nil
  }

  /// How many bytes it has in memory; nil when the kernel does not say.
  ///
  /// See `proc(5)`.
  public static func residentBytes() -> Int? {
    do throws(SystemError) {
      let text = String(
        decoding: try Files.read("/proc/self/status", limit: 64 << 10),
        as: UTF8.self
      )
      for line in text.split(separator: "\n") where line.hasPrefix("VmRSS:") {
        let words = line.split { $0 == " " || $0 == "\t" }
        guard words.count > 1, let count = Int(words[1]) else { return nil }
        return count << 10
      }
    } catch {
      return nil
    }
    return nil
  }

  /// How many bytes its control group may have in memory, or one above it; nil when none has a limit.
  ///
  /// See `cgroups(7)`.
  public static func memoryLimit() -> Int? {
    guard let groups = text(of: "/proc/self/cgroup") else { return nil }
    var limits: [Int] = []
    for line in groups.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isSecond = parts[1].isEmpty
      guard isSecond || parts[1].split(separator: ",").contains("memory") else { continue }
      let root = isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
      let name = isSecond ? "memory.max" : "memory.limit_in_bytes"
      var path = parts[2].split(separator: "/").prefix(64)
      while true {
        let folder = ([root] + path.map(String.init)).joined(separator: "/")
        if let word = text(of: "\(folder)/\(name)")?.split(separator: "\n").first,
          let limit = Int(word), limit < 1 << 50
        {
          limits.append(limit)
        }
        if path.popLast() == nil { break }
      }
    }
    return limits.min()
  }

  private static func text(of path: String) -> String? {
    do throws(SystemError) {
      return String(decoding: try Files.read(path, limit: 64 << 10), as: UTF8.self)
    } catch {
      return nil
    }
  }
}
