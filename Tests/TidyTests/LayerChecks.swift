/// The modules as Package.swift declares them.
struct ModuleTable {
  struct Module {
    var name: String
    var layer: String
    var uses: [String]
    var line: Int

    var folder: String { "Sources/\(layer)/\(name)/" }
  }

  /// The modules of Swift.
  var modules: [Module] = []
  /// The modules of C.
  var headers: Set<String> = []

  /// Reads calls of the form `module("Name", .layer, ["Use", …]…)`, on one line or on several.
  ///
  /// The name of the call does not matter.
  init(_ repository: Repository) {
    guard let package = repository.file("Package.swift") else { return }
    for (index, line) in package.lines.enumerated() {
      guard line.first?.isLetter == true, line.contains("(") else { continue }
      // A call goes to the end of its line, or to the line that starts with its parenthesis.
      var text = line
      var next = index + 1
      while text.count(where: { $0 == "(" }) > text.count(where: { $0 == ")" }),
        next < package.lines.count
      {
        text += package.lines[next]
        next += 1
      }
      guard let module = Self.module(text, line: index + 1) else { continue }
      let files = repository.files.filter { $0.path.hasPrefix(module.folder) }
      if files.contains(where: { $0.path.hasSuffix(".h") }), !files.contains(where: \.isSwift) {
        headers.insert(module.name)
      } else {
        modules.append(module)
      }
    }
  }

  private static func module(_ call: String, line: Int) -> Module? {
    guard let name = quoted(call).first, let dot = call.firstIndex(of: ".") else { return nil }
    let layer = call[dot...].dropFirst().prefix { $0.isLetter }
    guard layers.contains(String(layer)) else { return nil }
    var uses: [String] = []
    let arguments = call[dot...].drop { $0 != "," }.dropFirst().drop { $0 == " " }
    if arguments.first == "[" {
      uses = quoted(String(arguments.prefix { $0 != "]" }))
    }
    return Module(
      name: name,
      layer: layer.prefix(1).uppercased() + layer.dropFirst(),
      uses: uses,
      line: line
    )
  }
}

private let layers: Set<String> = [
  "base", "system", "runtime", "protocols", "edge", "control", "tools", "product",
]

/// What stands in quotes, in order.
private func quoted(_ text: String) -> [String] {
  text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
    .filter { $0.offset % 2 == 1 }.map { String($0.element) }
}

private let importKinds: Set<Substring> = [
  "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
]

/// The modules that a source file imports, with their lines.
func imports(of source: SwiftSource) -> [(module: String, line: Int)] {
  source.code.enumerated().compactMap { index, line in
    guard line.contains("import") else { return nil }
    let words = SwiftSource.words(of: line)
    guard let at = words.firstIndex(of: "import"), at <= 2,
      let name = words[(at + 1)...].first(where: { !importKinds.contains($0) })
    else { return nil }
    return (String(name), index + 1)
  }
}

/// Modules that are a part of Swift itself and say nothing about the platform.
private let language: Set<String> = ["Swift", "Synchronization", "_Concurrency"]

/// Modules of the platform; only a listed file may use them.
private let platform: Set<String> = [
  "Foundation", "FoundationEssentials", "Glibc", "Musl", "Dispatch", "SwiftGlibc",
]

/// Imports that the module's line in Package.swift does not have.
func layerFindings(in repository: Repository) -> [Finding] {
  let table = ModuleTable(repository)
  return table.modules.flatMap { module in
    let known = Set(module.uses).union(language).union(platform)
    return repository.sources(under: [module.folder]).flatMap { source in
      imports(of: source).filter { !known.contains($0.module) }.map { found in
        Finding(
          rule: .layer,
          file: source.path,
          line: found.line,
          what: "\(module.name) imports \(found.module), which its line in Package.swift lacks",
          mend: "declare it there, where the layer allows it, or ask a lower module"
        )
      }
    }
  }
}

/// Imports of the platform past the wrappers of the System layer.
func platformImportFindings(in repository: Repository) -> [Finding] {
  repository.sources(under: ["Sources/"]).flatMap { source in
    imports(of: source).filter { platform.contains($0.module) }.map { found in
      Finding(
        rule: .platformImport,
        file: source.path,
        line: found.line,
        what: "import of \(found.module)",
        mend: "call what MartletSystem offers, or add it there"
      )
    }
  }
}

/// Modules without a page that says what they are, and folders that are no module.
func landingPageFindings(in repository: Repository) -> [Finding] {
  let table = ModuleTable(repository)
  var findings: [Finding] = []
  for module in table.modules {
    let page = module.folder + module.name + ".swift"
    let catalog = module.folder + module.name + ".docc/"
    let start = repository.file(page)?.lines.first ?? ""
    let hasPage = start.hasPrefix("//") || repository.files.contains { $0.path.hasPrefix(catalog) }
    guard !hasPage else { continue }
    findings.append(
      Finding(
        rule: .landingPage,
        file: page,
        line: 1,
        what: "\(module.name) has no landing page",
        mend: "start this file with a comment: what the module is, and its one difficulty"
      )
    )
  }
  let declared = Set(table.modules.map(\.name)).union(table.headers)
  var seen: Set<String> = []
  for file in repository.files {
    let parts = file.path.split(separator: "/")
    guard parts.count > 3, parts[0] == "Sources", seen.insert(String(parts[2])).inserted,
      !declared.contains(String(parts[2]))
    else { continue }
    findings.append(
      Finding(
        rule: .landingPage,
        file: file.path,
        line: 1,
        what: "the folder \(parts[2]) is no module of Package.swift",
        mend: "declare it there with its layer"
      )
    )
  }
  return findings
}

/// Modules whose tests are missing or test nothing.
func moduleTestFindings(in repository: Repository) -> [Finding] {
  ModuleTable(repository).modules.filter { module in
    let tests = "Tests/\(module.layer)/\(module.name)Tests/"
    return !repository.sources(under: [tests]).contains { !$0.lines(with: "@Test").isEmpty }
  }.map { module in
    Finding(
      rule: .moduleTests,
      file: "Sources/\(module.layer)/\(module.name)",
      line: 1,
      what: "\(module.name) has no tests",
      mend: "write Tests/\(module.layer)/\(module.name)Tests, or list the module with the reason"
    )
  }
}

/// Types with the name of a module: nobody could then name the module's other types in full.
func moduleNameFindings(in repository: Repository) -> [Finding] {
  let names = Set(ModuleTable(repository).modules.map(\.name))
  return repository.sources(under: ["Sources/"]).flatMap { source in
    typeDeclarations(in: source).filter { names.contains($0.name) }.map { type in
      Finding(
        rule: .moduleName,
        file: source.path,
        line: type.line,
        what: "the type \(type.name) has the name of a module",
        mend: "rename one of them"
      )
    }
  }
}
