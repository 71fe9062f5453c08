import Handover
import JSON
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem

// Reload, log files, upgrade: changes of what runs, one at a time.

extension Supervisor {
  /// Makes one change while no other is under way.
  func change<Result>(
    _ body: () async throws(CommandFailure) -> Result
  ) async throws(CommandFailure) -> Result {
    guard !isStopping else { throw CommandFailure(.failure, "Martlet is stopping") }
    guard !isChanging else {
      throw CommandFailure(.failure, "another reload or upgrade is under way: try again")
    }
    isChanging = true
    defer { isChanging = false }
    // What an edge is told to change meanwhile is known before something else begins.
    for _ in 0..<500 where changeCount > 0 {
      do throws(WaitError) { try await loop.sleep(for: .milliseconds(10)) } catch { break }
    }
    return try await body()
  }

  // MARK: Reload

  /// Reads the configuration anew and puts it in force; an error changes nothing.
  func reload() async throws(CommandFailure) -> String {
    let assignment = try options.load()
    let next = InForce(
      assignment: assignment,
      listeners: try OpenListener.open(assignment.listeners, reusing: inForce.listeners),
      logs: try OpenLog.open(assignment.logs, reusing: inForce.logs),
      number: inForce.number + 1
    )
    if let edge = current {
      switch await offer(next, to: edge) {
      case .ready, .ended: break
      case .refused(let reason):
        drop(next.listeners, keeping: inForce.listeners)
        throw CommandFailure(.configuration, "nothing was changed: \(reason)")
      case .silent:
        drop(next.listeners, keeping: inForce.listeners)
        throw CommandFailure(.failure, "the edge process did not answer: nothing was changed here")
      }
    }
    // Where no edge runs, the next one starts with this.
    guard !isStopping else { throw CommandFailure(.failure, "Martlet is stopping") }
    drop(inForce.listeners, keeping: next.listeners)
    inForce = next
    runApplications()
    let lines = ["generation \(next.number) is in force"] + assignment.warnings
    options.say(lines.joined(separator: "\n"))
    return lines.joined(separator: "\n")
  }

  /// Removes the paths of listeners that are not among others; their sockets are closed with them.
  private func drop(_ listeners: [OpenListener], keeping kept: [OpenListener]) {
    let keys = Set(kept.map(\.key))
    for path in listeners.filter({ !keys.contains($0.key) }).compactMap(\.unixPath) {
      do throws(SystemError) { try Files.remove(path) } catch {
        options.say("cannot remove \(path): \(error)")
      }
    }
  }

  // MARK: Log files

  /// Opens the log files anew, after they were renamed.
  func reopenLogs() throws(CommandFailure) -> String {
    inForce.logs = try OpenLog.open(inForce.assignment.logs)
    let files = inForce.logs.map(\.file)
    for edge in edges {
      do throws(HandoverError) {
        try edge.channel.post(.logs(inForce.logs.map(\.key)), files: files)
      } catch {
        options.say("edge process \(edge.child.number) keeps its old log files (\(error))")
      }
    }
    let text = "\(files.count) log file\(files.count == 1 ? "" : "s") opened anew"
    options.say(text)
    return text
  }

  // MARK: Upgrade

  /// Executes the successor in place of this process; returns only when that is not possible.
  func upgrade(replyingTo connection: ReplyPlace?) async throws(CommandFailure) -> String {
    guard let edge = current else {
      throw CommandFailure(.failure, "no edge process serves now: upgrade when one does")
    }
    for arguments in options.probes { try await probe(arguments) }
    guard edge === current, edge.channel.isIdle else {
      throw CommandFailure(.failure, "the edge process changed meanwhile: try again")
    }
    let channel = try copy(of: edge.channel.number)
    let reply = try connection.map { place throws(CommandFailure) in
      try copy(of: place.connection)
    }
    var state = InheritedState(
      lock: lock,
      control: control,
      memory: memory,
      reply: reply?.number,
      replyID: connection?.id?.compact,
      edge: (edge.child.number, channel),
      level: edge.level,
      generation: inForce.number,
      drainLimit: inForce.assignment.drainLimit,
      listeners: inForce.listeners,
      logs: inForce.logs,
      source: inForce.assignment.source
    )
    state.workers = pools.flatMap(\.processNumbers)
    guard let text = state.encoded else {
      throw CommandFailure(.failure, "a name holds a tab or a line feed: it cannot be handed on")
    }
    options.say("executing \(options.successor.path)")
    do throws(SystemError) {
      let memory = OpenFile(try Descriptor.memoryFile("martlet-upgrade"))
      try memory.descriptor.replaceContent(by: text)
      var successor = options.successor
      successor.set(InheritedState.variable, to: "\(memory.number)")
      for file in state.files + (reply.map { [$0] } ?? []) {
        try file.descriptor.setCloseOnExecute(false)
      }
      try successor.execute()
    } catch {
      for file in state.files {
        do throws(SystemError) { try file.descriptor.setCloseOnExecute(true) } catch {}
      }
      throw CommandFailure(.failure, "cannot execute \(options.successor.path): \(error)")
    }
  }

  private func copy(of number: Int32) throws(CommandFailure) -> OpenFile {
    let borrowed = Descriptor(adopting: number)
    do throws(SystemError) {
      let copy = try borrowed.duplicate()
      _ = borrowed.release()
      return OpenFile(copy)
    } catch {
      _ = borrowed.release()
      throw CommandFailure(.failure, "cannot hand on the edge process: \(error)")
    }
  }

  /// Runs the successor with arguments with which it only tells or checks something.
  private func probe(_ arguments: [String]) async throws(CommandFailure) {
    var program = options.successor
    program.arguments = [program.path] + arguments
    program.discardsOutput = true
    let call = ([program.path] + arguments).joined(separator: " ")
    let child: ChildProcess
    do throws(SystemError) {
      child = try ChildProcess.start(program, on: loop)
    } catch {
      throw CommandFailure(.failure, "nothing was changed: `\(call)` does not run: \(error)")
    }
    probed = child.number
    defer { probed = nil }
    let end: ProcessEnd
    do throws(WaitError) {
      end = try await child.ended(by: loop.deadline(after: Timeout(.seconds(10))))
    } catch {
      child.send(.kill)
      do throws(WaitError) { _ = try await child.ended() } catch {}
      throw CommandFailure(.failure, "nothing was changed: `\(call)` took longer than 10 s")
    }
    guard end == .code(0) else {
      throw CommandFailure(.failure, "nothing was changed: `\(call)` \(end)")
    }
  }

  /// Goes on where the binary before this one left off: a new edge serves, then the old one drains.
  func succeed(_ inherited: InheritedState) async {
    isChanging = true
    defer { isChanging = false }
    let outcome: Result<String, CommandFailure>
    do throws(CommandFailure) {
      outcome = .success(try await takeOver(inherited))
    } catch {
      outcome = .failure(error)
    }
    switch outcome {
    case .success(let text): options.say(text)
    case .failure(let failure): options.say(failure.message)
    }
    guard let reply = inherited.reply else { return }
    do throws(SystemError) {
      let descriptor = Descriptor(adopting: reply)
      try descriptor.setCloseOnExecute(true)
      let stream = try Stream(adopting: descriptor, on: loop)
      await answer(outcome, to: inherited.replyID, on: stream)
    } catch {
      options.say("an answer could not be given: \(error)")
    }
  }

  private func takeOver(_ inherited: InheritedState) async throws(CommandFailure) -> String {
    let old: SupervisedEdge?
    do throws(SystemError) {
      let edge = try SupervisedEdge.adopt(
        inherited.edge.process,
        channel: inherited.edge.channel,
        level: inherited.level,
        on: loop
      )
      edge.generation = inherited.generation
      watch(edge)
      old = edge
    } catch {
      options.say("the earlier edge process \(inherited.edge.process) is gone: \(error)")
      old = nil
    }
    // Until the new one serves, the old one does.
    current = old
    reap(inherited.workers)
    let before = inForce
    do throws(CommandFailure) {
      let assignment = try options.load()
      inForce = InForce(
        assignment: assignment,
        listeners: try OpenListener.open(assignment.listeners, reusing: before.listeners),
        logs: try OpenLog.open(assignment.logs, reusing: before.logs),
        number: before.number + 1
      )
    } catch {
      if old == nil { await restart() }
      throw CommandFailure(
        error.status,
        "the new binary supervises, with the earlier edge process and configuration: "
          + error.message
      )
    }
    switch await startAndOffer() {
    case .success(let edge):
      current = edge
      runApplications()
      drop(before.listeners, keeping: inForce.listeners)
      if let old, old.child.end == nil {
        let limit = before.assignment.drainLimit
        old.state = .draining
        old.tell(.drain(limit: limit, closesIdle: false))
        let supervisor = self
        loop.spawn { await supervisor.kill([old], after: limit + .seconds(2)) }
      }
      return "upgraded to \(options.version): edge process \(edge.child.number) serves"
    case .failure(let failure):
      drop(inForce.listeners, keeping: before.listeners)
      let number = inForce.number
      inForce = before
      // The number is not used again: an edge may have heard of it.
      inForce.number = number
      if old?.child.end != nil || old == nil {
        current = nil
        await restart()
      }
      throw CommandFailure(
        .failure,
        "the new edge process failed, the earlier one goes on: \(failure.message)"
      )
    }
  }
}
