import MartletHandlers
import MartletTelemetry

/// Martlet's own handlers, which the admin listener and proofs to authorities have.
enum OwnHandlers {
  /// The figures in Prometheus form.
  struct Metrics: MartletHandlers.Handler {
    func handle(_ request: MartletHandlers.Request, _ response: Response) async throws {
      let board = try carrier(of: request).connection.worker.board
      try await response.send(bytes: board.metrics(), type: PrometheusText.mediaType)
    }
  }

  /// The state as JSON.
  struct Status: MartletHandlers.Handler {
    func handle(_ request: MartletHandlers.Request, _ response: Response) async throws {
      let board = try carrier(of: request).connection.worker.board
      try await response.send(bytes: board.status(), type: "application/json")
    }
  }

  /// The proof to an authority that a host is ours.
  struct Proof: MartletHandlers.Handler {
    func handle(_ request: MartletHandlers.Request, _ response: Response) async throws {
      let carrier = try carrier(of: request)
      let proof = try carrier.connection.proof(carrier.exchange, carrier.head)
      try await response.send(bytes: proof, type: "application/octet-stream")
    }
  }

  private static func carrier(of request: MartletHandlers.Request) throws -> HandlerCarrier {
    guard let carrier = request.carrier as? HandlerCarrier else {
      throw HandlerFault.misuse("a handler of Martlet's own outside of an edge")
    }
    return carrier
  }
}
