import Edge
import Handover
import MartletLoop
import MartletSystem

/// What the supervisor says of the processes that run applications.
extension EdgeService {
  func take(_ message: HandoverMessage, _ files: [OpenFile], of channel: HandoverChannel) async {
    guard let server else { return }
    switch message {
    case .worker(let application, let process, _):
      watchWorkers(of: server, channel)
      do throws(SystemError) {
        try await server.add(process: process, of: application, files: files)
      } catch {
        Console.complain("martlet: application \(application): process \(process): \(error)")
      }
    case .retireWorker(let application, let process):
      server.retire(process: process, of: application)
    case .workerEnded(let application, let process):
      await server.remove(process: process, of: application)
    default: break
    }
  }

  /// Tells the supervisor of processes that take too long, and of how many there are to be, from the first
  /// process on.
  private func watchWorkers(of server: EdgeServer, _ channel: HandoverChannel) {
    guard !watchesWorkers else { return }
    watchesWorkers = true
    let loop = loop
    loop.spawn(named: "watch over processes of applications") {
      while true {
        do throws(WaitError) { try await loop.sleep(for: .milliseconds(250)) } catch { return }
        let messages =
          server.overdueWorkers().map {
            HandoverMessage.workerHangs(application: $0.application, process: $0.process)
          }
          + server.wantedWorkers().map {
            HandoverMessage.workersWanted(application: $0.application, count: $0.count)
          }
        do throws(HandoverError) {
          for message in messages { try channel.post(message) }
        } catch {
          return
        }
      }
    }
  }
}
