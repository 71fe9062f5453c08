import Configuration
import HTTPMessage
import MartletBytes
import MartletSystem

/// From a path to what is there.
extension FileStore {
  /// Looks at what a path means; `before` is what it has meant until now.
  ///
  /// - Returns: What is there, and whether that is `before`.
  func load(
    _ path: Span<UInt8>,
    before: ServedFile?,
    at now: Int64,
    _ time: FileTime
  ) -> (FileEntry.Content, isSame: Bool) {
    let asked: RelativePath
    do throws(RelativePath.Refusal) {
      asked = try RelativePath(path)
    } catch {
      return (.nothing(FileAbsence(.missing, error.rawValue)), false)
    }
    if asked.isHidden, asked.isUnfinished || !rules.settings.showsHidden {
      return (.nothing(FileAbsence(.missing, "hidden")), false)
    }
    let folder: SharedFolder
    do throws(SystemError) {
      folder = try root.open(at: now, valid: rules.validNanoseconds)
    } catch {
      return (.nothing(FileAbsence(.failed, "root: \(error)")), false)
    }
    let search = Search(store: self, folder: folder, asked: asked, before: before, time: time)
    return search.run()
  }

  /// One look at the candidates of a path.
  private struct Search {
    let store: FileStore
    let folder: SharedFolder
    let asked: RelativePath
    let before: ServedFile?
    let time: FileTime

    private var rules: FileRules { store.rules }

    func run() -> (FileEntry.Content, isSame: Bool) {
      // The first that is there but may not be read is told of, unless something else answers.
      var absence: FileAbsence?
      for candidate in rules.candidates {
        let found: Found
        switch candidate {
        case .path: found = open(asked, takes: [.file, .folder])
        case .file(let after) where after.isEmpty: found = open(asked, takes: [.file])
        case .file(let after):
          // Behind the path of a folder there is no ending.
          if asked.isFolder { continue }
          found = open(asked.extended(by: after), takes: [.file])
        case .folder: found = open(asked, takes: [.folder])
        case .fixed(let path): found = open(path, takes: [.file])
        case .status(let status):
          // What may not be had is told as that, whatever the list ends with.
          if let absence, absence.kind != .missing { return (.nothing(absence), false) }
          return (.nothing(FileAbsence(.status(status), "try")), false)
        }
        switch found {
        case .content(let content, let isSame): return (content, isSame)
        case .absent(let found):
          if absence == nil || absence?.kind == .missing { absence = found }
        }
      }
      return (.nothing(absence ?? FileAbsence(.missing, "")), false)
    }

    private enum Found {
      case content(FileEntry.Content, isSame: Bool)
      case absent(FileAbsence)
    }

    private struct Kinds: OptionSet {
      let rawValue: UInt8
      static let file = Kinds(rawValue: 1)
      static let folder = Kinds(rawValue: 2)
    }

    private func open(_ path: RelativePath, takes kinds: Kinds) -> Found {
      do throws(SystemError) {
        let descriptor = try folder.folder.open(path.bytes, links: rules.links)
        let facts = try descriptor.facts()
        switch facts.kind {
        case .regular where kinds.contains(.file) && !path.isFolder:
          return try serve(path, descriptor, facts)
        case .folder where kinds.contains(.folder):
          return openIndex(of: path)
        case .regular: return .absent(FileAbsence(.missing, "not_a_folder"))
        case .folder: return .absent(FileAbsence(.missing, "a_folder"))
        case .link, .other: return .absent(FileAbsence(.missing, "not_a_file"))
        }
      } catch {
        return .absent(FileAbsence(error))
      }
    }

    private func openIndex(of path: RelativePath) -> Found {
      guard path.isFolder else { return .content(.lacksSlash, isSame: false) }
      for name in rules.indexNames {
        let found = open(path.appending(name), takes: [.file])
        if case .absent(let absence) = found, absence.kind == .missing { continue }
        return found
      }
      guard rules.settings.listing != .off else {
        return .absent(FileAbsence(.missing, "no_index"))
      }
      return .content(.listing(path), isSame: false)
    }

    private func serve(
      _ path: RelativePath,
      _ descriptor: consuming Descriptor,
      _ facts: FileFacts
    ) throws(SystemError) -> Found {
      var variants: [Representation] = []
      var areSame = true
      var saying = Representation.Saying(
        type: rules.types.type(ofName: path.name),
        cacheControl: rules.cacheControl(of: path),
        dictionaryUse: rules.dictionaryUse(of: path),
        varies: false,
        tags: rules.tagForm,
        namesFile: rules.settings.changes.contains { $0 != .delete },
        omitted: rules.omitted
      )
      var opened: [(FileRules.Variant, SharedFile)] = []
      for variant in rules.variants {
        guard let file = openVariant(variant, of: path, facts) else { continue }
        opened.append((variant, file))
      }
      saying.varies = !opened.isEmpty
      for (variant, file) in opened {
        let known = before?.variants.first { $0.coding == variant.coding }
        let new = try represent(file, variant.coding, saying, before: known)
        areSame = areSame && new === known
        variants.append(new)
      }
      let identity = try represent(
        SharedFile(OpenFile(descriptor), facts),
        .identity,
        saying,
        before: before?.identity
      )
      if let before, areSame, identity === before.identity,
        variants.count == before.variants.count
      {
        return .content(.file(before), isSame: true)
      }
      return .content(.file(ServedFile(identity, variants: variants)), isSame: false)
    }

    private struct SharedFile {
      let file: OpenFile
      let facts: FileFacts

      init(_ file: OpenFile, _ facts: FileFacts) {
        self.file = file
        self.facts = facts
      }
    }

    /// A compressed form that is there and not older than the file.
    private func openVariant(
      _ variant: FileRules.Variant,
      of path: RelativePath,
      _ facts: FileFacts
    ) -> SharedFile? {
      do throws(SystemError) {
        let descriptor = try folder.folder.open(
          path.extended(by: variant.ending).bytes,
          links: rules.links
        )
        let own = try descriptor.facts()
        // Whoever compresses a file keeps its time to the second.
        guard own.kind == .regular,
          own.modifiedNanoseconds / 1_000_000_000 >= facts.modifiedNanoseconds / 1_000_000_000
        else { return nil }
        return SharedFile(OpenFile(descriptor), own)
      } catch {
        return nil
      }
    }

    /// What is said of an open file, or what was said before if nothing has changed.
    private func represent(
      _ opened: SharedFile,
      _ coding: AcceptedCodings.Coding,
      _ saying: Representation.Saying,
      before: Representation?
    ) throws(SystemError) -> Representation {
      if let before, before.facts == opened.facts {
        // What is said of it is the same too, unless it is no longer young, or has variants now.
        let new = Representation(
          opened.facts,
          coding,
          bytes: before.bytes,
          file: before.file,
          saying,
          now: time
        )
        return new.whole == before.whole ? before : new
      }
      let cache = rules.settings.cache
      let limit = min(cache.fileBytes, cache.memoryBytes, cache.count > 0 ? .max : 0)
      guard opened.facts.byteCount <= limit, opened.facts.byteCount > 0 else {
        let isEmpty = opened.facts.byteCount == 0
        return Representation(
          opened.facts,
          coding,
          bytes: isEmpty ? [] : nil,
          file: isEmpty ? nil : opened.file,
          saying,
          now: time
        )
      }
      guard let (bytes, facts) = try read(opened) else {
        // Somebody writes to it all the time: as many bytes as there are now.
        return Representation(
          opened.facts,
          coding,
          bytes: nil,
          file: opened.file,
          saying,
          now: time
        )
      }
      return Representation(facts, coding, bytes: bytes, file: nil, saying, now: time)
    }

    /// The bytes of a small file, with what was known of it when they were all read; nil when it changes
    /// too fast for that.
    private func read(_ opened: SharedFile) throws(SystemError) -> ([UInt8], FileFacts)? {
      var facts = opened.facts
      for _ in 0..<Self.readCount {
        var bytes: [UInt8] = []
        while bytes.count < Int(facts.byteCount) {
          let part = try opened.file.descriptor.read(
            upTo: Int(facts.byteCount) - bytes.count,
            at: bytes.count
          )
          if part.isEmpty { break }
          if bytes.isEmpty { bytes = part } else { bytes += part }
        }
        let after = try opened.file.descriptor.facts()
        let isSteady =
          after.byteCount == Int64(bytes.count)
          && after.modifiedNanoseconds == facts.modifiedNanoseconds
        facts = after
        if isSteady { return (bytes, facts) }
        guard facts.byteCount <= rules.settings.cache.fileBytes else { break }
      }
      return nil
    }

    private static let readCount = 4
  }
}

extension FileRules {
  fileprivate var tagForm: Representation.Saying.TagForm {
    switch settings.tags {
    case .strong: .strong
    case .weak: .weak
    case .off: .off
    }
  }
}

extension SystemError {
  // The kernel's numbers, which are the same on every Linux that Martlet runs on.
  fileprivate static let notPermitted: Int32 = 1
  fileprivate static let missing: Int32 = 2
  fileprivate static let noDevice: Int32 = 6
  fileprivate static let accessDenied: Int32 = 13
  fileprivate static let otherDevice: Int32 = 18
  fileprivate static let notAFolder: Int32 = 20
  fileprivate static let nameTooLong: Int32 = 36
  fileprivate static let loop: Int32 = 40
}

extension FileAbsence {
  /// What a failure to open a file means.
  fileprivate init(_ error: SystemError) {
    switch error.code {
    case SystemError.missing, SystemError.notAFolder, SystemError.nameTooLong,
      SystemError.noDevice:
      self.init(.missing, "")
    case SystemError.accessDenied, SystemError.notPermitted:
      self.init(.forbidden, "access_denied")
    case SystemError.loop, SystemError.otherDevice:
      self.init(.forbidden, "link")
    default: self.init(.failed, "\(error)")
    }
  }
}
