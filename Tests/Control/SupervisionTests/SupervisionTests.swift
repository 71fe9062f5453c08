import Foundation
import MartletSystem
import TestPeers
import Testing

@Suite("Supervisor", .timeLimit(.minutes(5)))
struct SupervisionTests {
  @Test("starts an edge that serves, tells its state, and ends when it is told to stop")
  func life() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\ngreeting one\n")
    #expect(try instance.start() == "listens on :\(port)")
    #expect(try instance.call(port).hasPrefix("one "))
    let status = try instance.ask("status")
    #expect(status.code == 0 && status.text.contains("running, process \(instance.number)"))
    #expect(status.text.contains("greeting one") && status.text.contains("listening  :\(port)"))
    let json = try instance.ask("status json").text
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    #expect(object?["state"] as? String == "running" && object?["generation"] as? Int == 1)
    #expect((object?["edges"] as? [[String: Any]])?.count == 1)
    #expect(try instance.ask("stop") == (0, "stopped"))
    #expect(instance.end() == 0)
    #expect(try instance.call(port).contains("refused"))
    #expect(try instance.ask("status").code == 7)
  }

  @Test("ends on SIGTERM and SIGINT", arguments: [ProcessSignal.terminate, .interrupt])
  func signals(signal: ProcessSignal) throws {
    let instance = try Instance("listen \(try freePort())\n")
    try instance.start()
    try instance.send(signal)
    #expect(instance.end() == 0)
  }

  @Test("lets what is under way end, and ends it at the limit or at a second signal")
  func draining() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\ngreeting slow\n")
    try instance.start()
    let client = try RunningClient("call", port, "hold", first: "held")
    try instance.send(.terminate)
    #expect(instance.line(with: "stopping") != nil)
    #expect(try client.line(after: .user1).hasPrefix("slow "))
    #expect(instance.end() == 0)

    let hurried = try Instance("listen \(port)\nlimit 1\n")
    try hurried.start()
    let second = try RunningClient("call", port, "hold", first: "held")
    try hurried.send(.terminate)
    #expect(hurried.end() == 0)
    _ = second

    let impatient = try Instance("listen \(port)\nlimit 100\n")
    try impatient.start()
    let third = try RunningClient("call", port, "hold", first: "held")
    try impatient.send(.terminate)
    #expect(impatient.line(with: "stopping") != nil)
    try impatient.send(.terminate)
    #expect(impatient.end() == 0)
    _ = third
  }

  @Test("starts a killed edge again, and no connection is refused meanwhile")
  func crash() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\n")
    try instance.start()
    let first = try instance.call(port)
    for _ in 0..<3 {
      let edge = try #require(Int32(try instance.call(port).split(separator: " ").last ?? ""))
      try Processes.send(.kill, to: edge)
      #expect(instance.line(with: "was ended by SIGKILL") != nil)
      let answer = try instance.call(port)
      #expect(answer.hasPrefix("hello ") && !answer.hasSuffix(" \(edge)"))
      #expect(instance.line(with: "serves") != nil)
    }
    #expect(try instance.call(port) != first)
    #expect(try instance.ask("status").text.contains("restarts   3"))
  }

  @Test("replaces an edge that stands still, and no connection is refused meanwhile")
  func standstill() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\nhang 1\n")
    try instance.start()
    let edge = try #require(Int32(try instance.call(port).split(separator: " ").last ?? ""))
    try Processes.send(.pause, to: edge)
    let answer = try instance.call(port)
    #expect(answer.hasPrefix("hello ") && !answer.hasSuffix(" \(edge)"))
    #expect(instance.line(with: "edge process \(edge) has stood still for 1 s") != nil)
    #expect(instance.line(with: "was ended by SIGKILL: starting another") != nil)
    #expect(instance.line(with: "serves") != nil)
    #expect(try instance.ask("status").text.contains("restarts   1"))
  }

  @Test("lets an edge stand still that may do so for ever")
  func standstillAllowed() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\nhang 1\n")
    try instance.start()
    try instance.configure("listen \(port)\ngreeting patient\n")
    #expect(try instance.ask("reload").code == 0)
    let edge = try #require(Int32(try instance.call(port).split(separator: " ").last ?? ""))
    try Processes.send(.pause, to: edge)
    // Its state cannot be had within two seconds, longer than the limit was.
    #expect(try instance.ask("status").text.contains("it does not answer"))
    try Processes.send(.resume, to: edge)
    #expect(try instance.call(port) == "patient \(edge)")
  }

  @Test("ends when the first edge cannot serve, and says why")
  func firstEdge() throws {
    let crashing = try Instance("listen \(try freePort())\ncrash 1\n")
    #expect(try crashing.start().contains("ended with code 9 before it served"))
    #expect(crashing.end() == 1)
    let refusing = try Instance("listen \(try freePort())\nrefuse 1\n")
    #expect(try refusing.start().contains("does not serve: told to refuse"))
    #expect(refusing.end() == 1)
  }

  @Test("tries again with pauses while the edge crashes at once, and takes a reload meanwhile")
  func crashLoop() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\n")
    try instance.start()
    try instance.configure("listen \(port)\ncrash 2\n")
    // The edge that ends while it takes the new generation is started with it, and ends again.
    _ = try instance.ask("reload")
    for _ in 0..<3 { #expect(instance.line(with: "ended with code 9 before it served") != nil) }
    try instance.configure("listen \(port)\ngreeting mended\n")
    #expect(try instance.ask("reload").code == 0)
    #expect(instance.line(with: "serves") != nil)
    #expect(try instance.call(port).hasPrefix("mended "))
  }
}

@Suite("Reload", .timeLimit(.minutes(5)))
struct ReloadTests {
  @Test("puts a configuration in force, opens and closes listeners, and keeps connections")
  func reload() throws {
    let ports = [try freePort(), try freePort()]
    let instance = try Instance("listen \(ports[0])\ngreeting one\n")
    try instance.start()
    let edge = try instance.call(ports[0]).split(separator: " ").last
    let client = try RunningClient("call", ports[0], "hold", first: "held")
    try instance.configure("listen \(ports[1])\ngreeting two\n")
    #expect(try instance.ask("reload") == (0, "generation 2 is in force"))
    #expect(try instance.call(ports[1]) == "two \(edge ?? "")")
    #expect(try instance.call(ports[0]).contains("refused"))
    #expect(try client.line(after: .user1) == "two \(edge ?? "")")
    try instance.configure("listen \(ports[0])\ngreeting three\n")
    try instance.send(.hangUp)
    #expect(instance.line(with: "generation 3 is in force") != nil)
    #expect(try instance.call(ports[0]) == "three \(edge ?? "")")
  }

  @Test("moves a port from all addresses to one, and back")
  func samePort() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\ngreeting all\n")
    try instance.start()
    for (word, greeting) in [("loopback", "one"), ("listen", "all"), ("loopback", "again")] {
      try instance.configure("\(word) \(port)\ngreeting \(greeting)\n")
      let answer = try instance.ask("reload")
      #expect(answer.code == 0, "\(answer.text)")
      #expect(try instance.call(port).hasPrefix("\(greeting) "))
    }
    // Others are still kept out.
    let other = try Instance("listen \(port)\n")
    try other.start()
    #expect(other.end() == 4)
  }

  @Test("changes nothing when the configuration has errors or the edge refuses it")
  func errors() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\ngreeting one\n")
    try instance.start()
    let before = try instance.call(port)
    try instance.configure("error word\n")
    #expect(try instance.ask("reload") == (3, "line 1: word is wrong"))
    try instance.configure("listen \(try freePort())\nrefuse 2\n")
    #expect(try instance.ask("reload") == (3, "nothing was changed: told to refuse"))
    try instance.configure("listen \(port)\nlog /nowhere/at/all.log\n")
    let log = try instance.ask("reload")
    #expect(log.code == 1 && log.text.contains("/nowhere/at/all.log"))
    #expect(try instance.call(port) == before)
    #expect(try instance.ask("status").text.contains("generation 1"))
  }

  @Test("opens log files anew after they were renamed")
  func logs() throws {
    let port = try freePort()
    let instance = try Instance("")
    let log = instance.folder + "/access.log"
    try instance.configure("listen \(port)\ngreeting one\nlog \(log)\n")
    try instance.start()
    #expect(try instance.call(port).hasPrefix("one "))
    try FileManager.default.moveItem(atPath: log, toPath: log + ".1")
    #expect(try instance.ask("reopen") == (0, "1 log file opened anew"))
    // The edge has taken the new files in before it takes a later message.
    #expect(try instance.ask("status").code == 0)
    #expect(try String(contentsOfFile: log, encoding: .utf8) == "one\n")
    #expect(try String(contentsOfFile: log + ".1", encoding: .utf8) == "one\n")
  }

  @Test("keeps Unix sockets, and removes their paths when they are gone")
  func unixPaths() throws {
    let instance = try Instance("")
    let path = instance.folder + "/edge.sock"
    // Somebody who is gone has left a socket behind.
    let socket = try Descriptor.stream(for: .unix(path))
    try socket.bind(to: .unix(path))
    try instance.configure("unix \(path)\ngreeting unix\n")
    try instance.start()
    #expect(try instance.call(path).hasPrefix("unix "))
    try instance.configure("listen \(try freePort())\n")
    #expect(try instance.ask("reload").code == 0)
    #expect(!FileManager.default.fileExists(atPath: path))
  }
}

@Suite("Upgrade", .timeLimit(.minutes(5)))
struct UpgradeTests {
  @Test("executes the new binary in place: no call fails, what is under way ends in the old edge")
  func upgrade() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\ngreeting one\n", ownBinary: true)
    try instance.start()
    let old = try instance.call(port)
    let load = try RunningClient("load", port, first: "under way")
    let held = try RunningClient("call", port, "hold", first: "held")
    try instance.configure("listen \(port)\ngreeting two\n")
    // A new file under the same name, as a package installs it.
    try FileManager.default.copyItem(
      atPath: instance.program,
      toPath: instance.program + ".new"
    )
    #expect(unsafe rename(instance.program + ".new", instance.program) == 0)
    let answer = try instance.ask("upgrade")
    #expect(answer.code == 0 && answer.text.hasPrefix("upgraded to 1.2.3"))
    #expect(try instance.call(port).hasPrefix("two "))
    #expect(try instance.ask("status").text.contains("draining"))
    #expect(try held.line(after: .user1) == old)
    for _ in 0..<2 { #expect(try instance.ask("upgrade").code == 0) }
    #expect(try load.line(after: .terminate) == "answered, 0 failed")
    #expect(try instance.ask("stop") == (0, "stopped"))
    #expect(instance.end() == 0)
  }

  @Test("is made by SIGUSR2 too")
  func signal() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\n", ownBinary: true)
    try instance.start()
    let old = try instance.call(port)
    try instance.send(.user2)
    #expect(instance.line(with: "upgraded to") != nil)
    #expect(try instance.call(port) != old)
    #expect(try instance.ask("status").text.contains("process \(instance.number)"))
  }

  @Test("changes nothing when the new binary does not run", .disabled(if: forksAlways))
  func brokenBinary() throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\n", ownBinary: true)
    try instance.start()
    let before = try instance.call(port)
    let script = "#!/bin/sh\nexit 3\n"
    try FileManager.default.removeItem(atPath: instance.program)
    try script.write(toFile: instance.program, atomically: true, encoding: .utf8)
    let notExecutable = try instance.ask("upgrade")
    #expect(notExecutable.code == 1 && notExecutable.text.contains("does not run"))
    #expect(unsafe chmod(instance.program, 0o755) == 0)
    let failing = try instance.ask("upgrade")
    #expect(failing.code == 1 && failing.text.contains("--version` ended with code 3"))
    #expect(try instance.call(port) == before)
  }

  @Test(
    "leaves the old edge in charge when the new one fails",
    arguments: ["refuse 2", "crash 2", "error word"]
  )
  func brokenEdge(trouble: String) throws {
    let port = try freePort()
    let instance = try Instance("listen \(port)\n", ownBinary: true)
    try instance.start()
    let before = try instance.call(port)
    try instance.configure("listen \(port)\n\(trouble)\n")
    let answer = try instance.ask("upgrade")
    #expect(answer.code != 0 && answer.text.contains("earlier"))
    #expect(try instance.call(port) == before)
    try instance.configure("listen \(port)\ngreeting mended\n")
    #expect(try instance.ask("reload").code == 0)
    #expect(try instance.call(port).hasPrefix("mended "))
  }
}

@Suite("What keeps an instance from starting", .timeLimit(.minutes(5)))
struct StartTests {
  @Test("is a configuration with errors: code 3")
  func configuration() throws {
    let instance = try Instance("error word\n")
    #expect(try instance.start() == "line 1: word is wrong")
    #expect(instance.end() == 3)
  }

  @Test("is a port in use: code 4, and the message names who has it")
  func portInUse() throws {
    let port = try freePort()
    let first = try Instance("listen \(port)\n")
    try first.start()
    let second = try Instance("listen \(port)\n")
    let message = try second.start()
    #expect(message.contains("cannot listen on :\(port): the address is in use by TestProgram"))
    #expect(second.end() == 4)
  }

  @Test("is a second instance with the same state directory: code 6, with the first one's process")
  func secondInstance() throws {
    let first = try Instance("listen \(try freePort())\n")
    try first.start()
    let again = try Instance.run("supervise", first.state, first.folder + "/configuration")
    #expect(again.code == 6 && again.text.contains("(process \(first.number))"))
    #expect(try first.ask("status").code == 0)
  }

  @Test("is a missing right: code 5", .enabled(if: Processes.ownUser == 0))
  func rights() throws {
    let instance = try Instance("listen 81\n", ownBinary: true)
    #expect(unsafe chown(instance.folder, 65534, 65534) == 0)
    #expect(try instance.start(as: "65534").contains("CAP_NET_BIND_SERVICE"))
    #expect(instance.end() == 5)
  }

  @Test("is a state directory that others can enter: code 5")
  func openDirectory() throws {
    let instance = try Instance("listen \(try freePort())\n")
    try FileManager.default.createDirectory(
      atPath: instance.state,
      withIntermediateDirectories: false,
      attributes: [.posixPermissions: 0o755]
    )
    #expect(try instance.start().contains("chmod 700 \(instance.state)"))
    #expect(instance.end() == 5)
  }

  @Test("does not keep a lock of a process that is gone")
  func afterKill() throws {
    let port = try freePort()
    let first = try Instance("listen \(port)\n")
    try first.start()
    let edge = try #require(Int32(try first.call(port).split(separator: " ").last ?? ""))
    try first.send(.kill)
    _ = first.end()
    #expect(try first.ask("status").code == 7)
    // Its edge notices that nobody supervises it any more.
    let waiting = Process()
    waiting.executableURL = URL(fileURLWithPath: "/usr/bin/tail")
    waiting.arguments = ["--pid=\(edge)", "-f", "/dev/null"]
    try waiting.run()
    waiting.waitUntilExit()
    let again = try Instance("listen \(port)\n")
    #expect(try again.start() == "listens on :\(port)")
  }
}
