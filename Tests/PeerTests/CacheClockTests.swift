import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// What is kept while somebody sets the clock of the machine, as a library shows it that stands before the system's.
  @Suite("A cache and the clock", .timeLimit(.minutes(2 * slowness))) struct CacheClockTests {
    /// Adds the seconds that a file names to the time of day.
    private static let library = """
      #define _GNU_SOURCE
      #include <fcntl.h>
      #include <stdlib.h>
      #include <sys/syscall.h>
      #include <time.h>
      #include <unistd.h>
      int clock_gettime(clockid_t clock, struct timespec *time) {
        int result = (int)syscall(SYS_clock_gettime, clock, time);
        if (clock != CLOCK_REALTIME || result) return result;
        char text[32] = {0};
        int file = open("STEP", O_RDONLY | O_CLOEXEC);
        if (file < 0) return result;
        if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atol(text);
        close(file);
        return result;
      }
      """

    private func start(_ rig: Rig, _ member: Endpoint) throws -> Peer {
      try rig.write("0", to: "step")
      let source = try rig.write(
        Self.library.replacingOccurrences(of: "STEP", with: rig.path("step")),
        to: "clock.c"
      )
      let library = rig.path("clock.so")
      let built = try rig.outcome(of: ["cc", "-shared", "-fPIC", "-o", library, source])
      #expect(built.status == 0, "\(built.lines)")
      return try rig.martlet(
        configuration: """
          cache main { memory 16MB }
          server {
              listen LISTEN
              request_limit 1000000000
              route /now { respond 200 now }
              route / {
                  proxy \(member)
                  cache main
              }
          }
          """,
        startedBy: ["env", "LD_PRELOAD=\(library)"]
      )
    }

    private func ask(_ wire: Wire, _ path: String) throws -> Answer {
      try wire.send(text: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
      return try wire.receiveAnswer()
    }

    /// Sets the clock so many hours ahead, and waits until all answers say so.
    private func step(_ rig: Rig, _ wire: Wire, hours: Int) throws {
      try rig.write("\(hours * 3600)", to: "step")
      let deadline = ContinuousClock.now + patience
      let form = DateFormatter()
      form.locale = Locale(identifier: "en_US_POSIX")
      form.timeZone = TimeZone(identifier: "GMT")
      form.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
      while ContinuousClock.now < deadline {
        let date = try ask(wire, "/now").fields["date"].flatMap { form.date(from: $0) }
        let ahead = try #require(date).timeIntervalSinceNow
        if abs(ahead - Double(hours) * 3600) < 60 { return }
      }
      throw PeerError("the clock was not set")
    }

    @Test("that is set leaves what is fresh as it is, and what is stale too")
    func steps() async throws {
      try await Rig.run { rig in
        let count = Guarded(0)
        let member = try rig.member { wire in
          while let request = try wire.receiveRequest() {
            let number = count.withLock { count in
              count += 1
              return count
            }
            let age = request.target == "/short" ? 2 : 600
            let text = "\(number)"
            try wire.send(
              text: "HTTP/1.1 200 OK\r\nCache-Control: max-age=\(age)\r\n"
                + "Content-Length: \(text.utf8.count)\r\n\r\n\(text)"
            )
          }
        }
        let martlet = try start(rig, member.endpoint)
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "/long").text == "1")
        for hours in [2, -2, 0] {
          try step(rig, wire, hours: hours)
          let answer = try ask(wire, "/long")
          #expect(answer.text == "1", "\(hours)")
          let age = answer.fields["age"].flatMap { Int($0) } ?? -1
          #expect((0...60).contains(age), "\(hours)")
        }
        // What is fresh for two seconds is not fresh for the hour by which the clock goes back.
        try step(rig, wire, hours: 1)
        let first = try ask(wire, "/short").text
        try step(rig, wire, hours: 0)
        let deadline = ContinuousClock.now + patience
        var last = first
        while last == first, ContinuousClock.now < deadline { last = try ask(wire, "/short").text }
        #expect(last != first)
        martlet.end()
      }
    }
  }
}
