/// Everything that a configuration is read from: its files, and the values from elsewhere.
///
/// A bundle is collected once, by a process that may open files, and can be handed to another as
/// bytes: both then read exactly the same. It holds secrets.
public struct SourceBundle: Hashable, Sendable {
  /// What was found under a name.
  public enum Content: Hashable, Sendable {
    /// These bytes.
    case bytes([UInt8])
    /// Nothing, for this reason.
    case missing(String)
  }

  /// The most bytes of all files together.
  public static let maxBytes = 16 << 20
  /// The most files.
  public static let maxFileCount = 10_000
  /// How deep files may include each other.
  public static let maxDepth = 8

  /// The name of the main text.
  public var main: String
  /// The files by their path, and the main text by its name.
  public var files: [String: Content]
  /// The files that each pattern meant, in the order of their names.
  public var lists: [String: [String]]
  /// The variables of the environment that are asked for; nil for one that is not set.
  public var environment: [String: String?]

  /// Creates a bundle of one text, which has no way to the world.
  public init(name: String, text: String) {
    self.init(name: name, bytes: Array(text.utf8))
  }

  /// Creates a bundle of one text, which has no way to the world.
  public init(name: String, bytes: [UInt8]) {
    main = name
    files = [name: .bytes(bytes)]
    lists = [:]
    environment = [:]
  }

  /// The path of a file that another one names: as it is from `/`, else beside the other one.
  public static func path(_ path: String, from file: String) -> String {
    guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
    return String(file[...slash]) + path
  }

  /// Whether a path to include means several files.
  static func isPattern(_ path: String) -> Bool {
    path.contains("*") || path.contains("?")
  }
}

/// The ways from a configuration to the world.
public struct SourceAccess: Sendable {
  /// Reads a file of at most so many bytes.
  public var read: @Sendable (_ path: String, _ maxBytes: Int) -> SourceBundle.Content
  /// The files that a path with `*` or `?` in its last part means.
  public var list: @Sendable (_ pattern: String) -> [String]
  /// The value of a variable of the environment.
  public var environment: @Sendable (_ name: String) -> String?

  /// Creates access by these functions.
  public init(
    read: @escaping @Sendable (_ path: String, _ maxBytes: Int) -> SourceBundle.Content,
    list: @escaping @Sendable (_ pattern: String) -> [String],
    environment: @escaping @Sendable (_ name: String) -> String?
  ) {
    self.read = read
    self.list = list
    self.environment = environment
  }
}

extension SourceBundle {
  /// Collects what the main file asks for, and what its files ask for.
  ///
  /// What cannot be found is noted in the bundle; the reader of the bundle then tells the place that
  /// asks for it. Files behind ``maxBytes`` or ``maxFileCount`` are noted as missing.
  ///
  /// The words behind `fileDirectives` are paths too, of files that are not read as configuration.
  public static func collected(
    main: String,
    _ access: SourceAccess,
    fileDirectives: Set<String> = []
  ) -> SourceBundle {
    collected(main: main, content: access.read(main, Lexer.textBytes), access, fileDirectives)
  }

  /// Collects what a text asks for that is in no file.
  public static func collected(
    name: String,
    text: String,
    _ access: SourceAccess,
    fileDirectives: Set<String> = []
  ) -> SourceBundle {
    collected(main: name, content: .bytes(Array(text.utf8)), access, fileDirectives)
  }

  private static func collected(
    main: String,
    content: Content,
    _ access: SourceAccess,
    _ fileDirectives: Set<String>
  ) -> SourceBundle {
    var bundle = SourceBundle(name: main, bytes: [])
    bundle.files[main] = content
    var byteCount = 0
    if case .bytes(let bytes) = content { byteCount = bytes.count }
    var pending = [main]
    var isSeen: Set<String> = [main]
    while let name = pending.popLast() {
      guard case .bytes(let bytes)? = bundle.files[name] else { continue }
      let text = SourceText(name: name, bytes: bytes)
      var asked = Asked(directives: fileDirectives)
      asked.collect(Parser.read(text, source: 0).statements)
      for name in asked.variables where bundle.environment[name] == nil {
        bundle.environment[name] = .some(access.environment(name))
      }
      var paths: [String] = []
      for path in asked.includes.map({ Self.path($0, from: name) }) {
        if isPattern(path) {
          let found = access.list(path).sorted()
          bundle.lists[path] = found
          paths += found
        } else {
          paths.append(path)
        }
      }
      let values = asked.files.map { Self.path($0, from: name) }
      for path in values + paths where bundle.files[path] == nil {
        let content = bundle.admit(path, access, &byteCount)
        bundle.files[path] = content
      }
      pending += paths.filter { isSeen.insert($0).inserted }
    }
    return bundle
  }

  private func admit(_ path: String, _ access: SourceAccess, _ byteCount: inout Int) -> Content {
    guard files.count < Self.maxFileCount else {
      return .missing("a configuration has at most \(Self.maxFileCount) files")
    }
    let content = access.read(path, Lexer.textBytes)
    guard case .bytes(let bytes) = content else { return content }
    guard byteCount + bytes.count <= Self.maxBytes else {
      return .missing("the files of a configuration have at most 16 MB")
    }
    byteCount += bytes.count
    return content
  }

  /// What a text asks for.
  private struct Asked {
    let directives: Set<String>
    var includes: [String] = []
    var files: [String] = []
    var variables: [String] = []

    init(directives: Set<String>) { self.directives = directives }

    mutating func collect(_ statements: [Statement]) {
      for statement in statements {
        if statement.title == "include", let path = statement.arguments.first?.text {
          includes.append(path)
        }
        if directives.contains(statement.title) {
          files += statement.arguments.compactMap(\.text)
        }
        for case .foreign(let value, _) in statement.arguments.flatMap(\.pieces) {
          switch value {
          case .environment(let name): variables.append(name)
          case .file(let path): files.append(path)
          }
        }
        collect(statement.block ?? [])
      }
    }
  }
}
