import Directives

extension Directive {
  /// `access_log` of a block whose log may have these formats, of which the first is the usual one.
  static func accessLog(
    _ path: any WritableKeyPath<Settings, AccessLogSettings?> & Sendable,
    _ formats: [AccessLogSettings.Format],
    _ sentence: String,
    example: String
  ) -> Directive {
    let names = formats.map(\.rawValue)
    return Directive(
      "access_log",
      form: "stdout|stderr|PATH|off [" + names.joined(separator: "|") + "]",
      words: ["stdout", "stderr", "off"] + names,
      defaultText: "off",
      sentence,
      example: example,
      read: { statement, settings, reading in
        settings[keyPath: path] = reading.accessLog(
          of: statement,
          formats: formats,
          example: "access_log stdout json"
        )
      },
      show: { settings, mask in settings[keyPath: path]?.shown(mask) ?? .null }
    )
  }
}

extension Reading {
  /// Reads an access log in one of these formats, of which the first is the usual one; nil for none.
  fileprivate mutating func accessLog(
    of statement: Statement,
    formats: [AccessLogSettings.Format],
    example: String
  ) -> AccessLogSettings? {
    guard let word = statement.arguments.first else {
      lacksValue(statement, example: example)
      return nil
    }
    let kind = ValueKind<LogDestination?>.optional(.destination, none: "off")
    guard let value = value(of: word, kind, in: statement, example: example) else { return nil }
    guard let destination = value else {
      refuseWords(of: statement, from: 1, example: "access_log off")
      return nil
    }
    var settings = AccessLogSettings(destination: destination, format: formats[0])
    if statement.arguments.count > 1 {
      let format = ValueKind<AccessLogSettings.Format>.choice(formats.map { ($0.rawValue, $0) })
      let word = statement.arguments[1]
      if let chosen = self.value(of: word, format, in: statement, example: example) {
        settings.format = chosen
      }
    }
    refuseWords(of: statement, from: 2, example: example)
    return settings
  }
}

extension AccessLogSettings {
  /// The log for programs.
  fileprivate func shown(_ mask: Mask) -> JSONValue {
    .object([
      JSONValue.Member("to", ValueKind.destination.json(destination, mask)),
      JSONValue.Member("format", .text(format.rawValue)),
    ])
  }
}
