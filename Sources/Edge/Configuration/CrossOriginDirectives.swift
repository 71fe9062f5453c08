import Directives

/// What a route says about pages of other origins.
let crossOriginBlock = Directive<RouteDraft>.block(
  "cors",
  form: "",
  crossOriginDirectives,
  "Lets pages of other origins use the route from browsers: what these ask for beforehand is answered here, "
    + "and answers say that the page may see them.",
  example: "cors { origins https://app.example }",
  begin: { statement, reading in
    reading.refuseWords(of: statement, from: 0, example: "cors { … }")
    return CrossOriginSettings()
  },
  end: { settings, statement, draft, reading in
    if settings.origins.isEmpty {
      reading.error(
        "`cors` does not say for which pages",
        mend: "write `origins https://app.example` into its block",
        at: statement.range
      )
    }
    if settings.isOpen, settings.allowsCredentials {
      reading.error(
        "pages of all origins could do everything in the name of whoever looks at them",
        mend: "name the origins, or remove `credentials on`",
        at: statement.range
      )
    }
    draft.settings.crossOrigin = settings
  },
  show: { draft, mask in
    draft.settings.crossOrigin.map { crossOriginDirectives.shown($0, mask) }
  }
)

private let crossOriginDirectives = DirectiveTable<CrossOriginSettings>(
  "cors",
  "Which pages of other origins may use a route from browsers.",
  makeDefault: { CrossOriginSettings() },
  [
    .list(
      "origins",
      \.origins,
      .origin,
      unset: "none, but they must be named",
      "The origins of the pages, in which `*` stands for anything; alone it means every page.",
      example: "origins https://app.example https://*.dev.example"
    ),
    .list(
      "methods",
      \.methods,
      .method,
      unset: "GET HEAD POST PUT PATCH DELETE",
      "The methods that pages may use.",
      example: "methods GET POST"
    ),
    .list(
      "headers",
      \.headers,
      .fieldName,
      unset: "those that they ask for",
      "The fields that pages may send.",
      example: "headers content-type authorization"
    ),
    .list(
      "expose",
      \.exposed,
      .fieldName,
      unset: "grpc-status grpc-message grpc-status-details-bin",
      "The fields of answers that pages may see, besides those that all may.",
      example: "expose grpc-status grpc-message x-total"
    ),
    .value(
      "max_age",
      \.maxAge,
      .duration(within: .zero ... .seconds(86_400)),
      "How long a browser remembers what it was told beforehand.",
      example: "max_age 10m"
    ),
    .value(
      "credentials",
      \.allowsCredentials,
      .flag,
      "Whether browsers send cookies and certificates along.",
      example: "credentials on"
    ),
  ]
)

extension ValueKind where Value == String {
  /// The origin of a page.
  fileprivate static var origin: ValueKind {
    ValueKind(
      "ORIGIN",
      read: { text throws(ValueError) in
        if text == "*" || text == "null" { return text }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), text.utf8.count <= 256 else {
          throw ValueError("`\(text)` is no origin")
        }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
          throw ValueError("`\(text)` does not begin with https://", mend: "https://\(text)")
        }
        let host = text[colon...].dropFirst(3)
        guard !host.isEmpty, !host.contains("/"), !host.contains("@") else {
          let name = host.prefix { $0 != "/" }
          throw ValueError("an origin has no path", mend: "\(text[..<colon])://\(name)")
        }
        return text.lowercased()
      },
      write: { $0 }
    )
  }
}
