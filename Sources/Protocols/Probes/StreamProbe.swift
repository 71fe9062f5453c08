/// A probe over a stream, whichever protocol it speaks.
public enum StreamProbe: Sendable {
  /// Waits for a text.
  case expect(ExpectProbe)
  /// Reads an answer of HTTP.
  case http(HTTPProbe)
  /// Waits for a ServerHello.
  case tls(TLSProbe)
  /// Waits for `+PONG`.
  case redis(RedisProbe)
  /// Reads the first message of a session.
  case postgresql(PostgreSQLProbe)
  /// Reads a greeting.
  case mysql(MySQLProbe)
  /// Reads an answer of gRPC.
  case grpc(GRPCProbe)

  /// Takes bytes that came; at least one.
  ///
  /// - Returns: The verdict, or nil when more bytes are needed.
  public mutating func receive(_ bytes: Span<UInt8>) -> ProbeVerdict? {
    // Taken out while it reads: what it holds is then its alone, and need not be copied.
    switch consume self {
    case .expect(var probe):
      defer { self = .expect(probe) }
      return probe.receive(bytes)
    case .http(var probe):
      defer { self = .http(probe) }
      return probe.receive(bytes)
    case .tls(var probe):
      defer { self = .tls(probe) }
      return probe.receive(bytes)
    case .redis(var probe):
      defer { self = .redis(probe) }
      return probe.receive(bytes)
    case .postgresql(var probe):
      defer { self = .postgresql(probe) }
      return probe.receive(bytes)
    case .mysql(var probe):
      defer { self = .mysql(probe) }
      return probe.receive(bytes)
    case .grpc(var probe):
      defer { self = .grpc(probe) }
      return probe.receive(bytes)
    }
  }

  /// What it means that the server closes now.
  public func end() -> ProbeVerdict {
    switch self {
    case .expect(let probe): probe.end()
    case .http(let probe): probe.end()
    case .tls(let probe): probe.end()
    case .redis(let probe): probe.end()
    case .postgresql(let probe): probe.end()
    case .mysql(let probe): probe.end()
    case .grpc(let probe): probe.end()
    }
  }

  /// Whether the connection can carry another question, now that the verdict is known.
  public var keepsConnection: Bool {
    switch self {
    case .http(let probe): probe.keepsConnection
    case .redis: true
    case .expect, .tls, .postgresql, .mysql, .grpc: false
    }
  }
}
