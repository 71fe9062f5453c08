import Configuration
import Directives
import Handover
import MartletSystem
import Supervision

/// Writes what was changed at run time into the files of a configuration.
enum ConfigurationWriter {
  /// Puts changes into the files that `source` was read from.
  ///
  /// - Throws: ``CommandFailure``; no file is different then, but for a failure of the disk in the
  ///   middle of several files.
  static func write(
    _ state: RuntimeState,
    in generation: UInt64,
    source: [UInt8],
    isTrial: Bool
  ) throws(CommandFailure) -> WrittenChanges {
    guard let bundle = SourceBundle(encoded: source),
      let kept = RuntimeChanges(bytes: state.kept),
      let timed = TimedChanges(bytes: state.untilReload)
    else { throw CommandFailure(.failure, "the changes are not in form") }
    let layers = timed.generation == generation ? [kept, timed.changes] : [kept]
    let edited: ConfigurationEditor.Edited
    do throws(ChangeError) {
      edited = try ConfigurationEditor.write(layers, into: bundle)
    } catch {
      throw CommandFailure(.failure, "nothing was written: \(error.message)")
    }
    var result = WrittenChanges(diff: "", names: edited.names)
    var files: [(path: String, bytes: [UInt8])] = []
    for name in edited.names {
      guard case .bytes(let before)? = bundle.files[name],
        case .bytes(let after)? = edited.bundle.files[name]
      else { continue }
      try checkUnchanged(name, before)
      result.diff += UnifiedDiff.text(
        from: String(decoding: before, as: UTF8.self),
        to: String(decoding: after, as: UTF8.self),
        named: name
      )
      files.append((name, after))
    }
    if !isTrial { try replace(files) }
    return result
  }

  private static func checkUnchanged(
    _ name: String,
    _ before: [UInt8]
  ) throws(CommandFailure) {
    let present: [UInt8]
    do throws(SystemError) {
      present = try Files.read(name, limit: SourceBundle.maxBytes)
    } catch {
      throw CommandFailure(
        .failure,
        "nothing was written: \(name) is no file that can be read: \(error)"
      )
    }
    guard present == before else {
      throw CommandFailure(
        .failure,
        "nothing was written: \(name) is not as it was read; `martlet reload` puts it in force, but "
          + "drops changes that were not kept: make them again then"
      )
    }
  }

  private static func replace(
    _ files: [(path: String, bytes: [UInt8])]
  ) throws(CommandFailure) {
    for file in files {
      do throws(SystemError) {
        try Files.exchange(file.path, by: file.bytes)
      } catch {
        throw CommandFailure(
          error.code == 13 || error.code == 1 || error.code == 30 ? .noRight : .failure,
          "cannot write \(file.path): \(error)"
        )
      }
    }
  }
}
