import Foundation

extension Rig {
  /// The program under test: the optimised one where it was built, else the one beside the tests.
  ///
  /// Tests that are built for a sanitizer stand elsewhere, and start what stands beside them.
  public static let martletPath: String = {
    let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let beside = tests.deletingLastPathComponent().appendingPathComponent("martlet").path
    let optimised = repository.appendingPathComponent(".build/release/martlet").path
    let hasOptimised = FileManager.default.isExecutableFile(atPath: optimised)
    return !isSanitized && hasOptimised ? optimised : beside
  }()

  /// Starts `martlet proxy` in front of these members, on a free port where no place is given.
  ///
  /// `prefix` is a command that starts another, such as `prlimit`.
  ///
  /// - Throws: ``PeerError`` when it does not listen in time.
  public func martlet(
    to members: [Endpoint],
    at place: Endpoint? = nil,
    startedBy prefix: [String] = []
  ) throws -> Peer {
    let endpoint = try place ?? freePort()
    let list = members.map(\.description).joined(separator: ",")
    let arguments = ["proxy", "--listen", endpoint.description, "--to", list]
    let state = path("state-\(UInt16.random(in: 0 ... .max))")
    return try serving(
      prefix + [Self.martletPath] + arguments + ["--state-directory", state],
      at: endpoint
    )
  }

  /// Starts `martlet run` with a configuration, in which LISTEN stands for a free port.
  ///
  /// - Throws: ``PeerError`` when it does not listen in time.
  public func martlet(configuration text: String, startedBy prefix: [String] = []) throws -> Peer {
    let endpoint = try freePort()
    let text = text.replacingOccurrences(of: "LISTEN", with: endpoint.description)
    let file = try write(text, to: "martlet.conf")
    return try serving(
      prefix + [Self.martletPath, "run", "--config", file, "--state-directory", path("state")],
      at: endpoint
    )
  }

  /// Starts Martlet and waits until its edge process serves: its sockets are open before that.
  private func serving(_ arguments: [String], at endpoint: Endpoint) throws -> Peer {
    let martlet = try start(arguments, at: endpoint)
    try martlet.line(with: "listens on")
    return martlet
  }

  /// Runs a command about the instance that ``martlet(configuration:startedBy:)`` has started.
  ///
  /// - Throws: ``PeerError`` when it does not end in time.
  @discardableResult public func martlet(
    command: String...
  ) throws -> (status: Int32, lines: [String]) {
    try outcome(of: [Self.martletPath] + command + ["--state-directory", path("state")])
  }

  /// Starts nginx as one process with `server` as the inside of its server block.
  ///
  /// - Throws: ``PeerError`` when it does not listen in time.
  public func nginx(
    _ server: String,
    outside: String = "",
    listen options: String = ""
  ) throws -> Peer {
    let endpoint = try freePort()
    let name = "nginx-\(endpoint.description)"
    let text = """
      daemon off;
      master_process off;
      pid \(path(name)).pid;
      error_log \(path(name)).log;
      events { worker_connections 512; }
      http {
        access_log off;
        client_body_temp_path \(path(name))-body;
        proxy_temp_path \(path(name))-proxy;
        fastcgi_temp_path \(path(name))-fastcgi;
        uwsgi_temp_path \(path(name))-uwsgi;
        scgi_temp_path \(path(name))-scgi;
        client_max_body_size 0;
        \(outside)
        server {
          listen \(endpoint) \(options);
          \(server)
        }
      }
      """
    let file = try write(text, to: name + ".conf")
    return try start(["nginx", "-c", file, "-e", path(name) + ".log"], at: endpoint)
  }

  /// Starts nginx as one process that passes streams on, with `server` as the inside of its block.
  ///
  /// - Throws: ``PeerError`` when it does not listen in time.
  public func nginxStream(_ server: String) throws -> Peer {
    let endpoint = try freePort()
    let name = "nginx-\(endpoint.description)"
    let text = """
      load_module /usr/lib/nginx/modules/ngx_stream_module.so;
      daemon off;
      master_process off;
      pid \(path(name)).pid;
      error_log \(path(name)).log;
      events { worker_connections 512; }
      stream { server { listen \(endpoint); \(server) } }
      """
    let file = try write(text, to: name + ".conf")
    return try start(["nginx", "-c", file, "-e", path(name) + ".log"], at: endpoint)
  }

  /// Starts HAProxy as one process in front of `members`, with further words for its parts.
  ///
  /// - Throws: ``PeerError`` when it does not listen in time.
  public func haproxy(
    to members: [Endpoint],
    options: String = "",
    bind: String = "",
    front: String = ""
  ) throws -> Peer {
    let endpoint = try freePort()
    let servers = members.enumerated().map { "  server s\($0.offset) \($0.element) \(options)" }
    let text = """
      global
        maxconn 256
      defaults
        mode http
        timeout connect 5s
        timeout client 20s
        timeout server 20s
      frontend front
        bind \(endpoint) \(bind)
        \(front)
        default_backend back
      backend back
      \(servers.joined(separator: "\n"))

      """
    let file = try write(text, to: "haproxy-\(endpoint).cfg")
    return try start(["haproxy", "-db", "-f", file], at: endpoint)
  }

  /// Starts a Python program of the tests, which is given its port as the first argument.
  ///
  /// - Throws: ``PeerError`` when it does not listen in time.
  public func python(_ program: String, _ arguments: [String] = []) throws -> Peer {
    let endpoint = try freePort()
    guard case .port(let port) = endpoint else { throw PeerError("not a port") }
    let file = try write(program, to: "program-\(port).py")
    return try start(["/usr/bin/python3", "-u", file, "\(port)"] + arguments, at: endpoint)
  }

  /// Runs curl with `arguments` and returns its status and what it has written.
  ///
  /// - Throws: ``PeerError`` when it does not end in time.
  @discardableResult public func curl(
    _ arguments: String...,
    within limit: Duration = patience
  ) throws -> (status: Int32, text: String) {
    let outcome = try outcome(
      of: ["curl", "--silent", "--show-error", "--noproxy", "*"] + arguments,
      within: limit
    )
    return (outcome.status, outcome.lines.joined(separator: "\n"))
  }
}
