import ACME
import Configuration
import Edge
import MartletLoop
import MartletSystem
import TLS

// What is done for others whose names the authority of this machine vouches for.
extension CertificateKeeper {
  /// Has others answered, where the configuration says so.
  func serve(_ authority: LocalAuthority) {
    guard service != nil, let storage, let threads else {
      table.authority = nil
      serving = nil
      return
    }
    let mark =
      "\(authority.certificates.fingerprint) \(authority.revocations ?? "") \(authority.responder ?? "")"
    guard serving?.mark != mark else { return }
    let made = AuthorityService(
      authority,
      storage,
      threads,
      table.authorityCounts,
      clock: { SystemClock.wallMicroseconds() / 1_000_000 }
    )
    serving = (made, mark)
    table.authority = { call, loop in await made.answer(call, on: loop) }
  }

  /// Looks at the names of others from now on.
  func lookForOthers() {
    guard service != nil, serving != nil, looking == nil, let made = Signal(on: loop) else {
      return
    }
    looking = made
    let keeper = self
    loop.spawn(named: "look at certificates") { await keeper.look(made) }
  }

  private func look(_ signal: Signal) async {
    defer { looking = nil }
    guard let client = clientForOthers() else { return }
    while !hasEnded, let serving, let asked = service {
      await serving.service.look(
        by: client,
        asked,
        on: loop,
        signal,
        tell: note,
        isOver: { hasEnded || service != asked || self.serving?.mark != serving.mark }
      )
    }
  }

  private func clientForOthers() -> AuthorityClient? {
    guard let threads else { return nil }
    do throws(TLSError) {
      return try AuthorityClient(on: loop, trust: nil, threads: threads, clock: clock)
    } catch {
      event(.noted, "local authority", "it cannot look at names: \(error)")
      return nil
    }
  }
}
