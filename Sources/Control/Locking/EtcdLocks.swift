import HTTP1
import HTTPMessage
import JSON
import MartletBytes
public import MartletLoop
import MartletNet
public import MartletSystem

/// Locks in an etcd, version 3: a key for each that ends with its lease; the revision of the store that has it made is
/// the token.
///
/// It is spoken to by its gateway of JSON over HTTP, without encryption.
public final class EtcdLocks: LockService {
  private static let patience = Timeout(.seconds(5))
  private static let answerBytes = 1 << 16

  private let address: SocketAddress
  private let loop: EventLoop
  /// The leases of the locks that were taken here, by name.
  private var leases: [String: (token: UInt64, lease: String)] = [:]

  /// Uses the etcd at an address.
  public init(at address: SocketAddress, on loop: EventLoop) {
    self.address = address
    self.loop = loop
  }

  /// Takes a lock if nobody has it.
  ///
  /// - Throws: ``LockFault``.
  public func tryTake(_ name: String, lease: Duration) async throws(LockFault) -> UInt64? {
    let seconds = max(1, Int((lease / .seconds(1)).rounded(.up)))
    let granted = try await ask("/v3/lease/grant", .object(["TTL": .number(seconds)]))
    guard let identifier = granted["ID"]?.text else { throw unreadable(granted) }
    let key = JSONValue.text(Self.base64("martlet-lock/\(name)"))
    let put = JSONValue.object([
      "key": key, "value": .text(Self.base64("taken")), "lease": .text(identifier),
    ])
    let answer = try await ask(
      "/v3/kv/txn",
      .object([
        "compare": .list([
          .object(["key": key, "target": .text("CREATE"), "create_revision": .text("0")])
        ]),
        "success": .list([.object(["request_put": put])]),
      ])
    )
    guard answer["succeeded"]?.flag == true else {
      _ = try await ask("/v3/lease/revoke", .object(["ID": .text(identifier)]))
      return nil
    }
    guard let token = answer["header"]?["revision"]?.text.flatMap({ UInt64($0) }) else {
      throw unreadable(answer)
    }
    leases[name] = (token, identifier)
    return token
  }

  /// Says that it is still wanted.
  ///
  /// - Throws: ``LockFault``.
  public func renew(
    _ name: String,
    token: UInt64,
    lease: Duration
  ) async throws(LockFault) -> Bool {
    guard let held = leases[name], held.token == token else { return false }
    let answer = try await ask("/v3/lease/keepalive", .object(["ID": .text(held.lease)]))
    // A lease that has ended is answered without a time.
    let rest = answer["result"]?["TTL"]?.text.flatMap { Int($0) } ?? 0
    return rest > 0
  }

  /// Gives it back.
  ///
  /// - Throws: ``LockFault``.
  public func release(_ name: String, token: UInt64) async throws(LockFault) {
    guard let held = leases[name], held.token == token else { return }
    leases[name] = nil
    _ = try await ask("/v3/lease/revoke", .object(["ID": .text(held.lease)]))
  }

  private static func base64(_ text: String) -> String {
    String(decoding: Base64.encoded(Array(text.utf8).span), as: UTF8.self)
  }

  private func unreadable(_ value: JSONValue) -> LockFault {
    LockFault("etcd at \(address) answers \(value.compact.prefix(200))")
  }

  // MARK: HTTP

  private func ask(_ path: String, _ body: JSONValue) async throws(LockFault) -> JSONValue {
    let content = Array(body.compact.utf8)
    let head =
      "POST \(path) HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
      + "Content-Length: \(content.count)\r\nConnection: close\r\n\r\n"
    let answer: (status: Int, content: [UInt8])
    do {
      answer = try await exchange(Array(head.utf8) + content)
    } catch {
      throw LockFault("etcd at \(address): \(error)")
    }
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: answer.content)
    } catch {
      throw LockFault("etcd at \(address) answers \(answer.status), which is not JSON: \(error)")
    }
    guard answer.status == 200 else {
      // A lease that is over is none that could be ended.
      if path == "/v3/lease/revoke", answer.status == 404 { return value }
      throw unreadable(value)
    }
    return value
  }

  private func exchange(_ request: [UInt8]) async throws -> (status: Int, content: [UInt8]) {
    let deadline = loop.deadline(after: Self.patience)
    let stream = try await MartletNet.Stream.connect(to: address, on: loop, by: deadline)
    try await stream.write(request, by: deadline)
    var reader = ResponseReader(answering: "POST")
    var content: [UInt8] = []
    while !reader.isWhole {
      let part = try await stream.read(.head, by: deadline)
      if part.isEmpty {
        guard reader.end() else { throw LockFault("the answer breaks off") }
        break
      }
      content += try reader.take([UInt8](copying: part.bytes))
      guard content.count <= Self.answerBytes else { throw LockFault("the answer is too long") }
    }
    return (Int(reader.head.status), content)
  }
}
