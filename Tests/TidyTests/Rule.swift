/// What is checked.
enum Rule: String, CaseIterable, Sendable {
  case layer
  case platformImport
  case landingPage
  case moduleTests
  case moduleName
  case fileLength
  case functionLength
  case unsafe
  case safeComment
  case uncheckedSendable
  case nonisolatedUnsafe
  case fatalError
  case forcedTry
  case optionalTry
  case task
  case captureList
  case print
  case typeName
  case testableImport
  case sleep
  case unfinished
  case link
  case changelog
  case fileSize
  case shellLength
  case workplace
  case example
  case snippet

  /// Everything in the repository that breaks this rule.
  func findings(in repository: Repository) -> [Finding] {
    switch self {
    case .layer: layerFindings(in: repository)
    case .platformImport: platformImportFindings(in: repository)
    case .landingPage: landingPageFindings(in: repository)
    case .moduleTests: moduleTestFindings(in: repository)
    case .moduleName: moduleNameFindings(in: repository)
    case .fileLength: fileLengthFindings(in: repository)
    case .functionLength: functionLengthFindings(in: repository)
    case .safeComment: safeCommentFindings(in: repository)
    case .unsafe, .uncheckedSendable, .nonisolatedUnsafe, .fatalError, .forcedTry, .optionalTry,
      .task, .captureList, .print, .testableImport, .sleep:
      restrictedFindings(of: self, in: repository)
    case .typeName: typeNameFindings(in: repository)
    case .unfinished: unfinishedFindings(in: repository)
    case .link: linkFindings(in: repository)
    case .changelog: changelogFindings(in: repository)
    case .fileSize: fileSizeFindings(in: repository)
    case .shellLength: shellLengthFindings(in: repository)
    case .workplace: workplaceFindings(in: repository)
    case .example: exampleFindings(in: repository)
    case .snippet: snippetFindings(in: repository)
    }
  }
}

/// One place that breaks a rule, with what to do about it.
struct Finding: Hashable, Sendable, CustomStringConvertible {
  var rule: Rule
  var file: String
  var line: Int
  var what: String
  var mend: String

  var description: String { "\(file):\(line): \(what); \(mend)" }
}

/// A file that may break a rule, and why.
struct Allowance: Hashable, Sendable {
  var rule: Rule
  var file: String
  var reason: String

  init(_ rule: Rule, _ file: String, _ reason: String) {
    self.rule = rule
    self.file = file
    self.reason = reason
  }
}

/// The findings that no allowance covers, and the allowances that cover none.
func excuse(
  _ findings: [Finding],
  _ allowances: [Allowance]
) -> (remaining: [Finding], unused: [Allowance]) {
  let remaining = findings.filter { finding in
    !allowances.contains { $0.rule == finding.rule && $0.file == finding.file }
  }
  let unused = allowances.filter { allowance in
    !findings.contains { $0.rule == allowance.rule && $0.file == allowance.file }
  }
  return (remaining, unused)
}
