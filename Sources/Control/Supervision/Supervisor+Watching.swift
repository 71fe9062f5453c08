import MartletLoop
import MartletProcess
import MartletSystem

// An edge that neither serves nor ends.

extension Supervisor {
  /// Ends an edge that says no more that its loops turn; another is started then, as after a crash.
  ///
  /// Pauses are counted and not time: whoever stops this process too, as a terminal does with a whole
  /// group, finds the edge as it was.
  func awaitSilence(of edge: SupervisedEdge) async {
    var silence = Duration.zero
    while edge.child.end == nil {
      do throws(WaitError) { try await loop.sleep(for: Self.pause) } catch { return }
      // One that never said so is starting, or of a version that does not.
      guard let isAlive = edge.isAlive, let limit = inForce.assignment.hangLimit, !isAlive else {
        if edge.isAlive != nil { edge.isAlive = false }
        silence = .zero
        continue
      }
      silence += Self.pause
      guard silence >= limit, edge.child.end == nil else { continue }
      options.say(
        "edge process \(edge.child.number) has stood still for \(limit.components.seconds) s: it is ended"
      )
      // Its image tells where it stood; a process that was stopped does not take this signal.
      edge.child.send(.abort)
      do throws(WaitError) { try await loop.sleep(for: Self.abortTime) } catch {}
      edge.child.send(.kill)
      return
    }
  }

  private static let pause = Duration.milliseconds(250)
  private static let abortTime = Duration.seconds(1)
}
