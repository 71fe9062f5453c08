import ArgumentParser
import Certificates
import JSON
import MartletSystem
import Supervision

/// `martlet certificate`.
struct CertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certificate",
    abstract: "Tell or change the certificates that a running instance obtains.",
    subcommands: [
      ListCommand.self, ShowCommand.self, RenewCommand.self, TestCommand.self,
      ImportCommand.self, RevokeCommand.self,
    ]
  )

  private static let columns = [
    TextTable.Column("certificate"), TextTable.Column("state"), TextTable.Column("issuer"),
    TextTable.Column("until"), TextTable.Column("next"), TextTable.Column("problem"),
  ]

  /// `martlet certificate list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Tell the certificates of all servers with `tls auto`."
    )

    @OptionGroup var view: ViewOptions

    func run() throws {
      view.say(try view.ask("certificate.list")) { result in
        let rows = (result["certificates"]?.list ?? []).map(CertificateCommand.readable)
        return TextTable(rows, CertificateCommand.columns).text
      }
    }
  }

  /// `martlet certificate show`.
  struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "Tell one certificate."
    )

    @Argument(help: ArgumentHelp("One of its names.", valueName: "name")) var name: String
    @OptionGroup var view: ViewOptions

    func run() throws {
      let result = try view.ask("certificate.show", [JSONValue.Member("certificate", .text(name))])
      view.say(result) { result in
        PlainJSON(CertificateCommand.readable(result)).lines.map { "\($0)\n" }.joined()
      }
    }
  }

  /// `martlet certificate renew`.
  struct RenewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "renew",
      abstract: "Obtain a certificate although it is not the time; the old one serves until then."
    )

    @Argument(help: ArgumentHelp("One of its names.", valueName: "name")) var name: String
    @OptionGroup var view: ViewOptions

    func run() throws {
      let result = try view.ask("certificate.renew", [JSONValue.Member("certificate", .text(name))])
      view.say(result) { "\($0["message"]?.text ?? "")\n" }
    }
  }

  /// `martlet certificate test`.
  struct TestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "test",
      abstract: "See whether authorities would give a certificate, without getting one.",
      discussion: """
        Every authority is shown that the name is yours, and then not asked for a certificate; of \
        Let's Encrypt that is the one for trials. Ends with code 0 when one of them would give it.
        """
    )

    @Argument(help: ArgumentHelp("One of its names.", valueName: "name")) var name: String
    @OptionGroup var view: ViewOptions

    func run() throws {
      // Each call waits for some seconds; an authority and a record may take minutes.
      var result = JSONValue.null
      for _ in 0..<100 {
        result = try view.ask("certificate.test", [JSONValue.Member("certificate", .text(name))])
        if result["running"]?.flag != true { break }
      }
      view.say(result) { result in
        TextTable(
          result["authorities"]?.list ?? [],
          [TextTable.Column("authority"), TextTable.Column("good"), TextTable.Column("problem")]
        ).text
      }
      guard result["good"]?.flag == true else { throw CommandFailure(.failure, "") }
    }
  }

  /// `martlet certificate import`.
  struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "import",
      abstract: "Serve a certificate that was obtained otherwise, until it is time to renew it."
    )

    @Argument(
      help: ArgumentHelp(
        "The certificate with those that vouch for it, in PEM form.",
        valueName: "certificate"
      ),
      completion: .file()
    )
    var certificate: String

    @Argument(help: ArgumentHelp("Its key, in PEM form.", valueName: "key"), completion: .file())
    var key: String

    @OptionGroup var view: ViewOptions

    func run() throws {
      let result = try view.ask(
        "certificate.import",
        [
          JSONValue.Member("certificates", .text(try CertificateCommand.text(of: certificate))),
          JSONValue.Member("key", .text(try CertificateCommand.text(of: key))),
        ]
      )
      view.say(result) { "\($0["message"]?.text ?? "")\n" }
    }
  }

  /// `martlet certificate revoke`.
  struct RevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "revoke",
      abstract: "Revoke a certificate that was obtained, or one of the authority of this machine.",
      discussion: """
        One that was obtained is taken back by its authority, and obtained anew where it is served. One that \
        the authority of this machine has given stands in the list of revoked certificates from then on, \
        which a route with `acme` serves; where it is not at hand it is named by its number, which the error \
        log tells.
        """
    )

    /// Why.
    enum Reason: String, CaseIterable, ExpressibleByArgument {
      case unspecified
      case keyCompromise = "key-compromise"
      case affiliationChanged = "affiliation-changed"
      case superseded
      case cessationOfOperation = "cessation-of-operation"

      /// As RFC 5280 numbers it, section 5.3.1.
      var number: Int {
        switch self {
        case .unspecified: 0
        case .keyCompromise: 1
        case .affiliationChanged: 3
        case .superseded: 4
        case .cessationOfOperation: 5
        }
      }
    }

    @Argument(
      help: ArgumentHelp(
        "The file of the certificate, in PEM form, or a name for which one is served.",
        valueName: "certificate"
      ),
      completion: .file()
    )
    var certificate: String?

    @Option(help: ArgumentHelp("Its number in hexadecimal digits.", valueName: "hex"))
    var number: String?

    @Option(help: "Why.") var reason = Reason.unspecified
    @OptionGroup var view: ViewOptions

    func validate() throws {
      guard (certificate == nil) != (number == nil) else {
        throw ValidationError("name either a certificate or a number")
      }
    }

    func run() throws {
      var members = [JSONValue.Member("reason", .number(reason.number))]
      if let certificate {
        let isName = !certificate.contains("/") && !CertificateCommand.isFile(certificate)
        let text = isName ? certificate : try CertificateCommand.text(of: certificate)
        members.append(JSONValue.Member(isName ? "certificate" : "certificates", .text(text)))
      }
      if let number { members.append(JSONValue.Member("number", .text(number))) }
      let result = try view.ask("certificate.revoke", members)
      view.say(result) { "\($0["message"]?.text ?? "")\n" }
    }
  }

  private static func isFile(_ path: String) -> Bool {
    do throws(SystemError) {
      _ = try Files.status(of: path)
      return true
    } catch {
      return false
    }
  }

  private static func text(of path: String) throws(CommandFailure) -> String {
    do throws(SystemError) {
      return String(decoding: try Files.read(path, limit: 64 << 10), as: UTF8.self)
    } catch {
      throw CommandFailure(
        error.code == 13 ? .noRight : .failure,
        "cannot read \(path): \(error)"
      )
    }
  }

  /// The same with times that people read.
  private static func readable(_ certificate: JSONValue) -> JSONValue {
    guard case .object(let members) = certificate else { return certificate }
    return .object(
      members.map { member in
        guard ["from", "until", "next"].contains(member.name), let number = member.value.number
        else { return member }
        return JSONValue.Member(member.name, .text(CertificateTime.text(Int64(number))))
      }
    )
  }
}
