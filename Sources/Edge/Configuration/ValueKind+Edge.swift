import Directives

/// Whether a text is a token, of which names of methods and fields are made.
///
/// - Source: RFC 9110, section 5.6.2.
func isToken(_ text: String) -> Bool {
  !text.isEmpty && text.utf8.count <= 256
    && text.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
      default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
    }
}

extension ValueKind where Value == String {
  /// The name of a user, a group or an upstream.
  static func name(_ form: String = "NAME") -> ValueKind {
    ValueKind(
      form,
      read: { text throws(ValueError) in
        let isName = text.utf8.allSatisfy { byte in
          switch byte {
          case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
          default: false
          }
        }
        guard isName, (1...64).contains(text.utf8.count) else {
          throw ValueError(
            "`\(text)` is not a name: letters, digits, `-`, `_` and `.`, at most 64 of them"
          )
        }
        return text
      },
      write: { $0 }
    )
  }

  /// The name of a field.
  static var fieldName: ValueKind {
    ValueKind(
      "NAME",
      read: { text throws(ValueError) in
        if text.hasSuffix(":") {
          throw ValueError("the name of a field has no `:`", mend: String(text.dropLast()))
        }
        guard isToken(text) else { throw ValueError("`\(text)` is not the name of a field") }
        return text
      },
      write: { $0 }
    )
  }

  /// A method.
  static var method: ValueKind {
    ValueKind(
      "METHOD",
      words: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
      read: { text throws(ValueError) in
        guard isToken(text) else { throw ValueError("`\(text)` is not a method", mend: "GET") }
        guard text == text.uppercased() else {
          throw ValueError(
            "methods have capital letters, `\(text)` would never match",
            mend: text.uppercased()
          )
        }
        return text
      },
      write: { $0 }
    )
  }

  /// A media type.
  static var mediaType: ValueKind {
    ValueKind(
      "TYPE",
      read: { text throws(ValueError) in
        let parts = text.prefix { $0 != ";" }.split(
          separator: "/",
          omittingEmptySubsequences: false
        )
        let isField = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
        guard parts.count == 2, parts.allSatisfy({ isToken(String($0)) }), isField,
          text.utf8.count <= 256
        else { throw ValueError("`\(text)` is not a media type", mend: "text/html") }
        return text
      },
      write: { $0 }
    )
  }

  /// The path of a file or a folder.
  static var path: ValueKind { .text("PATH", maxBytes: 4096) }
}

extension ValueKind where Value == Address {
  /// Where a member is reached; a port alone is one of this machine.
  static var member: ValueKind {
    ValueKind(
      "ADDRESS",
      read: { text throws(ValueError) in
        let address = try Address(text)
        guard case .any(let port) = address else { return address }
        return .ip(.loopback, port: port)
      },
      write: { $0.description }
    )
  }

  /// Where something listens.
  static var listener: ValueKind {
    ValueKind(
      "ADDRESS",
      read: { text throws(ValueError) in
        let address = try Address(text)
        guard case .name(let name, let port) = address else { return address }
        if name == "localhost" { return .ip(.loopback, port: port) }
        throw ValueError(
          "a server listens on an address, `\(name)` is a name",
          mend: ":\(port)"
        )
      },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == LogDestination {
  /// Where a log is written.
  static var destination: ValueKind {
    ValueKind(
      "stdout|stderr|PATH",
      words: ["stdout", "stderr"],
      read: { text throws(ValueError) in
        switch text {
        case "stdout": return .standardOutput
        case "stderr": return .standardError
        case "/dev/stdout": throw ValueError("this is written by its name", mend: "stdout")
        case "/dev/stderr": throw ValueError("this is written by its name", mend: "stderr")
        default: return .file(try ValueKind<String>.path.read(text))
        }
      },
      write: { destination in
        switch destination {
        case .standardOutput: "stdout"
        case .standardError: "stderr"
        case .file(let path): path
        }
      }
    )
  }
}

extension ValueKind where Value == TextPattern {
  /// A text in which `*` stands for anything.
  static var pattern: ValueKind {
    ValueKind(
      "VALUE",
      read: { text throws(ValueError) in
        guard text.utf8.count <= TextPattern.maxBytes else {
          throw ValueError("a value has at most \(TextPattern.maxBytes) bytes")
        }
        return TextPattern(text)
      },
      write: { $0.description }
    )
  }
}

extension ValueKind where Value == Via {
  /// A pseudonym, or `off`.
  static var via: ValueKind {
    ValueKind(
      "NAME|off",
      words: ["off"],
      read: { text throws(ValueError) in
        if text == "off" { return .off }
        guard isToken(text) else { throw ValueError("`\(text)` is not a token", mend: "martlet") }
        return .name(text)
      },
      write: { via in
        switch via {
        case .off: "off"
        case .name(let name): name
        }
      }
    )
  }
}

extension ValueKind where Value == UpstreamHost {
  /// `client`, `member`, or the text itself.
  static var upstreamHost: ValueKind {
    ValueKind(
      "client|member|HOST",
      words: ["client", "member"],
      read: { text throws(ValueError) in
        switch text {
        case "client": return .client
        case "member": return .member
        default:
          let isHost = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: ".-_:[]".utf8.contains(byte)
            }
          }
          guard isHost, (1...255).contains(text.utf8.count) else {
            throw ValueError("`\(text)` is not a host", mend: "app.internal")
          }
          return .literal(text)
        }
      },
      write: { host in
        switch host {
        case .client: "client"
        case .member: "member"
        case .literal(let text): text
        }
      }
    )
  }
}

extension ValueKind where Value == RouteOverrides.BodyLimit? {
  /// A size, or `none`.
  static var bodyLimit: ValueKind {
    let size = ValueKind<Int>.size(within: bodyLimits)
    return ValueKind(
      "\(size.form)|none",
      bounds: size.bounds.map { "\($0), or none" },
      words: ["none"],
      read: { text throws(ValueError) in
        text == "none" ? RouteOverrides.BodyLimit.none : .bytes(try size.read(text))
      },
      write: { limit in
        switch limit {
        case .bytes(let bytes)?: size.write(bytes)
        case RouteOverrides.BodyLimit.none?: "none"
        case nil: ""
        }
      }
    )
  }
}

/// How large a body may be allowed to be.
let bodyLimits = 0...(1 << 40)
