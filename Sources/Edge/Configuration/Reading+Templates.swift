import Directives

/// Where a template stands, which decides what it may hold.
enum TemplatePlace {
  /// The value of a field of a request.
  case requestField
  /// The value of a field of an answer.
  case responseField
  /// The body of an answer.
  case body
  /// A key by which requests are told apart.
  case key

  var hasResponse: Bool { self == .responseField || self == .body }
  var isField: Bool { self == .requestField || self == .responseField }
}

extension Reading {
  /// Reads a word as a template, and notes what is wrong with it.
  mutating func template(
    of word: Word,
    for place: TemplatePlace,
    in statement: Statement
  ) -> Template? {
    var parts: [TemplatePart] = []
    var isGood = true
    func append(_ text: String) {
      if case .literal(let before)? = parts.last {
        parts[parts.count - 1] = .literal(before + text.utf8)
      } else if !text.isEmpty {
        parts.append(.literal(Array(text.utf8)))
      }
    }
    for piece in word.pieces {
      switch piece {
      case .text(let text), .secret(let text): append(text)
      case .foreign: continue
      case .variable(let name, let range):
        if let variable = variable(name, range, of: word, for: place) {
          parts.append(.variable(variable))
        } else {
          isGood = false
        }
      }
    }
    let template = Template(parts)
    if place.isField, !template.fitsField {
      error(
        "the value of a field has no line ends and no control characters",
        mend: "write it on one line",
        at: word.range
      )
      isGood = false
    }
    return isGood ? template : nil
  }

  private mutating func variable(
    _ name: String,
    _ range: SourceRange,
    of word: Word,
    for place: TemplatePlace
  ) -> Variable? {
    for reference in Variable.references {
      guard let variable = reference.make(name) else { continue }
      if reference.needsResponse, !place.hasResponse {
        error("`{\(name)}` has no value yet, there is no answer", at: range)
        return nil
      }
      return variable
    }
    let near = nearestName(to: name, among: Variable.references.lazy.map(\.name))
    let braces = word.isQuoted ? "write `\\{` if a brace is meant" : nil
    error(
      "there is no variable `\(name)`",
      mend: near.map { "write `{\($0)}`" } ?? braces ?? "`martlet reference` lists them",
      at: range
    )
    return nil
  }
}

extension Template {
  /// Whether the known parts can stand in the value of a field.
  var fitsField: Bool {
    parts.allSatisfy { part in
      guard case .literal(let bytes) = part else { return true }
      return bytes.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
    }
  }
}
