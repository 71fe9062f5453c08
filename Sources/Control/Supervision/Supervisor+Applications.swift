import MartletLoop
import MartletProcess
import MartletSystem

/// Applications: their processes belong to the edge that serves.
extension Supervisor {
  /// Runs the applications of what is in force for the edge that serves.
  ///
  /// One whose demand is another goes on until a process of the new one is ready.
  func runApplications() {
    guard let edge = current, !isStopping else { return }
    for pool in pools where pool.edge !== edge { pool.close() }
    let demands = inForce.assignment.applications
    let present = pools.filter { $0.edge === edge && !$0.isClosed }
    for pool in present where !demands.contains(where: { $0.name == pool.demand.name }) {
      pool.retire()
    }
    for demand in demands {
      let before = present.first { $0.demand.name == demand.name }
      if before?.demand == demand { continue }
      do throws(SystemError) {
        let pool = try ApplicationPool(demand, for: edge, of: self, continuing: before)
        pools.append(pool)
        pool.start()
      } catch {
        options.say("application \(demand.name): it cannot be started: \(error)")
      }
    }
    pools.removeAll { $0.isClosed && $0.workers.isEmpty }
    edge.hangs = { [unowned self] name, process in
      for pool in self.pools where pool.demand.name == name { pool.endHung(process) }
    }
    edge.wants = { [unowned self, unowned edge] name, count in
      for pool in self.pools where pool.demand.name == name && pool.edge === edge {
        pool.resize(to: count)
      }
    }
  }

  /// Notes that a process of an application has ended.
  func noteWorkerEnd() {
    pools.removeAll { $0.isClosed && $0.workers.isEmpty }
    finishIfEmpty()
  }

  // MARK: Copies

  /// Makes children of this process what is left without a parent: copies of a process that has loaded an
  /// application, and whatever else applications leave behind, which is reaped.
  func adoptOrphans() {
    guard !adoptsOrphans else { return }
    adoptsOrphans = true
    do throws(SystemError) {
      try Processes.adoptOrphans()
    } catch {
      return options.say("applications cannot be loaded before their processes: \(error)")
    }
    let supervisor = self
    loop.spawn {
      while true {
        do throws(WaitError) { try await supervisor.loop.sleep(for: .seconds(1)) } catch { return }
        supervisor.reapOrphans()
      }
    }
  }

  /// Whether a process is a child of this one of which nothing else is known.
  func isOrphan(_ number: Int32) -> Bool {
    !knownChildren.contains(number) && Processes.children(of: Processes.own).contains(number)
  }

  private var knownChildren: Set<Int32> {
    Set(edges.map(\.child.number) + pools.flatMap(\.processNumbers) + [probed].compactMap { $0 })
  }

  private func reapOrphans() {
    let known = knownChildren
    for number in Processes.children(of: Processes.own) where !known.contains(number) {
      // One that runs is left alone.
      do throws(SystemError) { _ = try Processes.reap(number) } catch {}
    }
  }

  /// Waits for the end of processes that the binary before this one has started for its edge.
  func reap(_ workers: [Int32]) {
    for number in workers {
      do throws(SystemError) {
        let child = try ChildProcess(adopting: number, on: loop)
        loop.spawn {
          do throws(WaitError) { _ = try await child.ended() } catch {}
        }
      } catch {
        // It has ended, and was waited for.
      }
    }
  }

  /// Whether processes of applications are still there when the edges have ended; those that do not end by
  /// themselves then are ended.
  func awaitsWorkers() -> Bool {
    let workers = pools.flatMap(\.workers)
    guard !workers.isEmpty else { return false }
    guard !isEndingWorkers else { return true }
    isEndingWorkers = true
    let supervisor = self
    loop.spawn {
      do throws(WaitError) { try await supervisor.loop.sleep(for: .seconds(2)) } catch {}
      for worker in supervisor.pools.flatMap(\.workers) { worker.child.send(.kill) }
    }
    return true
  }
}
