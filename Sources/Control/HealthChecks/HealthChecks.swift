/// Asks members, again and again, whether they serve, and tells the edge what it has found.
///
/// Everything runs on one loop, beside the loops that serve requests. A target is asked once, however
/// many upstreams have it as a member with the same check. What was found outlives a reload, because
/// a ``HealthMonitor`` keeps it by the target and by what is asked, and an upgrade or a crash, because it
/// writes it to the `EdgeMemory` that the supervisor keeps.
///
/// The one difficulty is the cost: a thousand members a second are a thousand connections. They are
/// spread evenly over the interval in groups (``CheckSchedule``), a mere connection is taken back before
/// the member has noticed it, and what needs no waiting does not wait (`StreamQuestion`).
///
/// ```swift
/// let monitor = HealthMonitor(on: loop, memory: nil) { change in server.note(change) }
/// try monitor.prepare(generation)      // what is known is in force with it
/// try await server.publish(generation, sockets: sockets)
/// monitor.follow(generation)
/// ```
import Edge
import Probes
