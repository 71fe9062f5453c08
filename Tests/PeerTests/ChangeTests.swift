import Foundation
import JSON
import TestPeers
import Testing

private let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

/// A member that answers with its own name.
private func named(_ rig: Rig) throws -> ScriptedMember {
  let box = Guarded<String>("")
  let member = try rig.member { wire in
    while try wire.receiveRequest() != nil {
      let name = box.withLock { $0 }
      try wire.send(
        text: "HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)"
      )
    }
  }
  box.withLock { $0 = member.endpoint.description }
  return member
}

private func text(_ pairs: KeyValuePairs<String, String>) -> JSONValue {
  .object(pairs.map { JSONValue.Member($0.key, .text($0.value)) })
}

extension PeerTests {
  /// Upstreams and members that change while requests come.
  @Suite("Changes at run time", .timeLimit(.minutes(4 * slowness))) struct ChangeTests {
    private func martlet(_ rig: Rig, _ members: [ScriptedMember]) throws -> Peer {
      let lines = members.map { "    member \($0.endpoint)" }.joined(separator: "\n")
      return try rig.martlet(
        configuration: """
          # The only comment.
          server {
              listen LISTEN
              route / { proxy api }
          }
          upstream api {
          \(lines)
          }

          """
      )
    }

    /// The members that answer `count` requests on one connection, each with how often it did.
    private func answers(_ martlet: Peer, _ count: Int = 20) throws -> [String: Int] {
      let wire = try Wire(to: martlet.endpoint)
      var answers: [String: Int] = [:]
      for _ in 0..<count {
        try wire.send(text: request)
        let answer = try wire.receiveAnswer()
        answers[answer.status == 200 ? answer.text : "\(answer.status)", default: 0] += 1
        if answer.fields["connection"]?.lowercased() == "close" { break }
      }
      return answers
    }

    @Test("members come, go, are weighed, drained and disabled by commands")
    func commands() async throws {
      try await Rig.run { rig in
        let members = try (0..<3).map { _ in try named(rig) }
        let names = members.map(\.endpoint.description)
        let martlet = try martlet(rig, Array(members.prefix(2)))
        func command(_ words: String...) throws {
          let outcome = try rig.outcome(
            of: [Rig.martletPath] + words + ["--state-directory", rig.path("state")]
          )
          #expect(outcome.status == 0, "\(words): \(outcome.lines)")
        }
        try command("member", "add", "api", names[2], "weight", "2")
        #expect(try answers(martlet) == [names[0]: 5, names[1]: 5, names[2]: 10])
        try command("member", "weigh", "api", names[2], "1")
        try command("member", "remove", "api", names[0])
        #expect(try answers(martlet) == [names[1]: 10, names[2]: 10])
        try command("member", "drain", "api", names[1])
        #expect(try answers(martlet) == [names[2]: 20])
        try command("upstream", "disable", "api")
        #expect(try answers(martlet, 1) == ["503": 1])
        try command("upstream", "enable", "api")
        try command("member", "enable", "api", names[1])
        #expect(try answers(martlet) == [names[1]: 10, names[2]: 10])
        let list = try rig.martlet(command: "member", "list", "api")
        #expect(list.lines.count == 3 && list.lines[1].contains(names[1]))
        let wrong = try rig.martlet(command: "member", "drain", "apo", names[1])
        #expect(wrong.status == 1 && wrong.lines.joined().contains("did you mean `api`?"))
        let options = try rig.martlet(command: "member", "add", "api", names[0], "weigth", "2")
        #expect(options.status == 2 && options.lines.joined().contains("weight"))
        // The file was not touched, and wins at the next reload.
        try command("reload")
        #expect(try answers(martlet) == [names[0]: 10, names[1]: 10])
      }
    }

    @Test("an upstream is added, changed and removed, and one that a route names stays")
    func upstreams() async throws {
      try await Rig.run { rig in
        let members = try (0..<2).map { _ in try named(rig) }
        let martlet = try martlet(rig, [members[0]])
        let control = try ControlWire(rig)
        let load = Load(to: martlet.endpoint, clientCount: 4)
        let line = "member \(members[1].endpoint) weight 3"
        try control.call("upstream.add", text(["upstream": "new", "lines": line]))
        let shown = try control.call("upstream.show", text(["upstream": "new"]))
        #expect(shown["members"]?.list?.first?["weight"]?.number == 3)
        #expect(throws: ControlWire.Refusal.self) {
          try control.call("upstream.remove", text(["upstream": "api"]))
        }
        try control.call("upstream.remove", text(["upstream": "new"]))
        #expect(try control.call("upstream.list")["upstreams"]?.list?.count == 1)
        try load.wait(forMore: 50)
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "\(totals)")
      }
    }

    @Test(
      "what is kept outlives a reload, an upgrade, a crash and a restart; a crash loses nothing"
    )
    func kept() async throws {
      try await Rig.run { rig in
        let members = try (0..<4).map { _ in try named(rig) }
        let names = members.map(\.endpoint.description)
        var martlet = try martlet(rig, Array(members.prefix(2)))
        func add(_ name: String, keep: Bool) throws {
          let parameters = JSONValue.object([
            "upstream": .text("api"), "member": .text(name), "keep": .flag(keep),
          ])
          try ControlWire(rig).call("member.add", parameters)
        }
        try add(names[2], keep: true)
        try add(names[3], keep: false)
        let all = Set(names)
        #expect(Set(try answers(martlet).keys) == all)

        let edge = try #require(martlet.children.first)
        kill(edge, SIGKILL)
        try martlet.line(with: "serves")
        #expect(Set(try answers(martlet).keys) == all, "after a crash")

        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(Set(try answers(martlet).keys) == Set(names.prefix(3)), "after a reload")
        try add(names[3], keep: false)
        #expect(try rig.martlet(command: "upgrade").status == 0)
        #expect(Set(try answers(martlet).keys) == Set(names.prefix(3)), "after an upgrade")
        let changes = try rig.martlet(command: "config", "changes")
        #expect(changes.lines == ["kept  upstream api, member \(names[2]): added"])

        let file = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        #expect(try rig.martlet(command: "stop").status == 0)
        martlet = try rig.martlet(
          configuration: file.replacingOccurrences(of: "\(martlet.endpoint)", with: "LISTEN")
        )
        #expect(Set(try answers(martlet).keys) == Set(names.prefix(3)), "after a restart")
        #expect(try rig.martlet(command: "config", "discard").status == 0)
        #expect(Set(try answers(martlet).keys) == Set(names.prefix(2)), "after it was dropped")
        #expect(!FileManager.default.fileExists(atPath: rig.path("state/changes.json")))
      }
    }

    /// Gives the configuration rights that a new file would not have.
    private func protect(_ rig: Rig) throws {
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o640],
        ofItemAtPath: rig.path("martlet.conf")
      )
    }

    @Test("config write changes the lines that are different, and the reload changes nothing")
    func write() async throws {
      try await Rig.run { rig in
        let members = try (0..<3).map { _ in try named(rig) }
        let names = members.map(\.endpoint.description)
        let martlet = try martlet(rig, Array(members.prefix(2)))
        let before = String(decoding: try rig.read("martlet.conf"), as: UTF8.self)
        try protect(rig)
        let control = try ControlWire(rig)
        try control.call("member.add", text(["upstream": "api", "member": names[2] + " weight 2"]))
        try control.call("member.drain", text(["upstream": "api", "member": names[0]]))

        let trial = try rig.martlet(command: "config", "write", "--dry-run")
        #expect(trial.lines.contains("+    member \(names[2]) weight 2"))
        #expect(trial.lines.contains("+    member \(names[0]) mode draining"))
        #expect(String(decoding: try rig.read("martlet.conf"), as: UTF8.self) == before)

        // Somebody else was faster.
        try rig.write(before + "# more\n", to: "martlet.conf")
        #expect(try rig.martlet(command: "config", "write").status == 1)
        #expect(
          String(decoding: try rig.read("martlet.conf"), as: UTF8.self) == before + "# more\n"
        )
        try rig.write(before, to: "martlet.conf")
        try protect(rig)

        let written = try rig.martlet(command: "config", "write")
        #expect(written.status == 0, "\(written.lines)")
        let wanted = before.replacingOccurrences(
          of: "    member \(names[0])\n",
          with: "    member \(names[0]) mode draining\n"
        ).replacingOccurrences(
          of: "    member \(names[1])\n",
          with: "    member \(names[1])\n    member \(names[2]) weight 2\n"
        )
        #expect(String(decoding: try rig.read("martlet.conf"), as: UTF8.self) == wanted)
        let attributes = try FileManager.default.attributesOfItem(atPath: rig.path("martlet.conf"))
        #expect(attributes[.posixPermissions] as? Int == 0o640)
        #expect(try answers(martlet, 30) == [names[1]: 10, names[2]: 20])
        #expect(
          try rig.martlet(command: "config", "changes").lines
            == ["nothing is different from the configuration"]
        )
        let check = try rig.outcome(
          of: [Rig.martletPath, "check", "--config", rig.path("martlet.conf")]
        )
        #expect(check.status == 0, "\(check.lines)")
        #expect(try rig.martlet(command: "reload").status == 0)
        #expect(try answers(martlet, 30) == [names[1]: 10, names[2]: 20])
      }
    }

    /// How many random changes are made; `make soak` makes 10,000.
    private static let changeCount =
      ProcessInfo.processInfo.environment["MARTLET_CHANGES"].flatMap { Int($0) } ?? 300

    @Test("random changes are as a model has them, and fail no request")
    func model() async throws {
      try await Rig.run { rig in
        let members = try (0..<8).map { _ in try named(rig) }
        let names = members.map(\.endpoint.description)
        let martlet = try martlet(rig, Array(members.prefix(2)))
        let control = try ControlWire(rig)
        let load = Load(to: martlet.endpoint, clientCount: 8)
        try load.wait(forMore: 50)
        let seed = UInt64.random(in: 0 ... .max)
        var model = Model(names: names, seed: seed)
        for step in 0..<Self.changeCount {
          let call = model.change()
          do {
            try control.call(call.method, call.parameters)
            #expect(call.isPossible, "seed \(seed), step \(step): \(call)")
          } catch let refusal as ControlWire.Refusal {
            #expect(!call.isPossible, "seed \(seed), step \(step): \(call): \(refusal)")
          }
          let list = try control.call("member.list", text(["upstream": "api"]))
          var found: [String: String] = [:]
          for member in list["members"]?.list ?? [] {
            let weight = member["weight"]?.number ?? -1
            found[member["address"]?.text ?? ""] = "\(weight) \(member["mode"]?.text ?? "")"
          }
          #expect(found == model.shown, "seed \(seed), step \(step): \(call)")
        }
        let totals = try load.stop()
        #expect(totals.failures == [:] && totals.broken == 0, "seed \(seed): \(totals)")
        #expect(totals.answered > Self.changeCount)
      }
    }

    /// What the upstream should have, changed step by step.
    ///
    /// The first member stays as it is, so that there always is one.
    private struct Model {
      struct Call {
        var method: String
        var parameters: JSONValue
        var isPossible: Bool
      }

      struct Entry {
        var weight = 1
        var mode = "ready"
      }

      var names: [String]
      /// What holds now, and what would after a reload.
      var entries: [String: Entry] = [:]
      var kept: [String: Entry] = [:]
      var random: SeededRandom

      init(names: [String], seed: UInt64) {
        self.names = names
        random = SeededRandom(seed)
        for name in names.prefix(2) { kept[name] = Entry() }
        entries = kept
      }

      var shown: [String: String] { entries.mapValues { "\($0.weight) \($0.mode)" } }

      mutating func change() -> Call {
        let name = names[Int.random(in: 1..<names.count, using: &random)]
        if Int.random(in: 0..<20, using: &random) == 0 {
          entries = kept
          return Call(method: "reload", parameters: .object([]), isPossible: true)
        }
        // What is not kept cannot be kept in parts: the model keeps what it has.
        let keeps = Bool.random(using: &random) && (kept[name] == nil) == (entries[name] == nil)
        let isThere = entries[name] != nil
        var parameters: [JSONValue.Member] = [
          JSONValue.Member("upstream", .text("api")), JSONValue.Member("member", .text(name)),
          JSONValue.Member("keep", .flag(keeps)),
        ]
        func edit(_ body: (inout Entry) -> Void, in entries: inout [String: Entry]) {
          guard var entry = entries[name] else { return }
          body(&entry)
          entries[name] = entry
        }
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1:
          let weight = Int.random(in: 1...5, using: &random)
          parameters[1].value = .text("\(name) weight \(weight)")
          if !isThere {
            entries[name] = Entry(weight: weight)
            if keeps { kept[name] = Entry(weight: weight) }
          }
          return Call(method: "member.add", parameters: .object(parameters), isPossible: !isThere)
        case 2:
          entries[name] = nil
          if keeps { kept[name] = nil }
          return Call(method: "member.remove", parameters: .object(parameters), isPossible: isThere)
        case 3:
          let weight = Int.random(in: 0...5, using: &random)
          parameters.append(JSONValue.Member("weight", .number(weight)))
          edit({ $0.weight = weight }, in: &entries)
          if keeps { edit({ $0.weight = weight }, in: &kept) }
          return Call(method: "member.weigh", parameters: .object(parameters), isPossible: isThere)
        default:
          let modes = ["enable": "ready", "drain": "draining", "disable": "disabled"]
          let verb = modes.keys.sorted().randomElement(using: &random) ?? "enable"
          let mode = modes[verb] ?? ""
          edit({ $0.mode = mode }, in: &entries)
          if keeps { edit({ $0.mode = mode }, in: &kept) }
          return Call(
            method: "member.\(verb)",
            parameters: .object(parameters),
            isPossible: isThere
          )
        }
      }
    }
  }
}

/// Numbers that are the same in each run.
private struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
