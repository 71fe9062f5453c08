/// Obtains certificates for servers with `tls auto`, and renews them in time: from authorities by ACME, and
/// for names that none of these can vouch for from an authority of this machine.
///
/// Everything runs on one loop, beside those that serve requests; what blocks runs on threads. The one
/// difficulty is that nothing of it may stand in the way: a server starts without its certificate, an
/// authority that fails is asked again later and another one meanwhile, and what was served before is
/// served on. So ``CertificateKeeper`` holds a state for each certificate, and every failure ends as a line
/// of the log, a report and a later try. ``StapleKeeper`` asks authorities in the same way what they say of
/// certificates, so that clients are shown that.
///
/// ```swift
/// let keeper = CertificateKeeper(on: loop, table, note: server.note, show: { … })
/// keeper.prepare(configuration, storage: path, files: [:])   // what is there is in force with it
/// try await server.publish(…)
/// keeper.follow()
/// ```
