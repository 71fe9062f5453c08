public import JSON

/// One method: its name, what it takes, what it gives, and how it may fail.
public struct RPCMethod: Hashable, Sendable {
  /// Its name, as `member.add`.
  public var name: String
  /// What it does, as a sentence.
  public var sentence: String
  /// What it takes, in the order of arguments that have no names.
  public var parameters: [RPCParameter]
  /// What it gives.
  public var result: RPCType
  /// The errors that it has besides those of JSON-RPC itself: their codes, with what they mean.
  public var errors: [RPCError]

  /// Creates a method.
  public init(
    _ name: String,
    _ sentence: String,
    _ parameters: [RPCParameter] = [],
    result: RPCType = .any,
    errors: [RPCError] = []
  ) {
    self.name = name
    self.sentence = sentence
    self.parameters = parameters
    self.result = result
    self.errors = errors
  }
}

/// All methods of one who can be called.
public struct MethodTable: Sendable {
  /// The method that describes all others.
  public static let discovery = "rpc.discover"

  /// The methods, in the order of the description.
  public let methods: [RPCMethod]
  private let indices: [String: Int]

  /// Creates a table; no two methods may have one name.
  public init(_ methods: [RPCMethod]) {
    let discovery = RPCMethod(Self.discovery, "Describes all methods as an OpenRPC document.")
    self.methods = methods + [discovery]
    var indices: [String: Int] = [:]
    for (index, method) in self.methods.enumerated() {
      let before = indices.updateValue(index, forKey: method.name)
      precondition(before == nil, "two methods are called \(method.name)")
    }
    self.indices = indices
  }

  /// The method of this name; nil where there is none.
  public subscript(name: String) -> RPCMethod? { indices[name].map { methods[$0] } }

  /// Checks the arguments of a call, which may be given by name or in order.
  ///
  /// - Throws: ``RPCError`` with ``RPCError/methodNotFound`` or ``RPCError/invalidParameters``.
  public func arguments(of call: RPCCall) throws(RPCError) -> RPCArguments {
    guard let method = self[call.method] else {
      throw RPCError(RPCError.methodNotFound, "there is no method `\(call.method)`")
    }
    var members: [JSONValue.Member]
    switch call.parameters {
    case .object(let named): members = named
    case .list(let values):
      guard values.count <= method.parameters.count else {
        throw RPCError(
          RPCError.invalidParameters,
          "`\(method.name)` takes at most \(method.parameters.count) arguments"
        )
      }
      members = zip(method.parameters, values).map { JSONValue.Member($0.name, $1) }
    default: members = []
    }
    // Callers in languages whose objects have all members always give null for what is not there.
    members.removeAll { $0.value == .null }
    if let problem = RPCType.problem(with: members, of: method.parameters) {
      throw RPCError(RPCError.invalidParameters, "`\(method.name)`: \(problem)")
    }
    return RPCArguments(members)
  }
}

/// The arguments of a call, of the types that its method declares.
public struct RPCArguments: Hashable, Sendable {
  private let members: [JSONValue.Member]

  init(_ members: [JSONValue.Member]) { self.members = members }

  /// The argument of this name; nil where it was not given.
  public subscript(name: String) -> JSONValue? { members.first { $0.name == name }?.value }

  /// A text; nil where it was not given.
  public func text(_ name: String) -> String? { self[name]?.text }
  /// A whole number; nil where it was not given.
  public func number(_ name: String) -> Int? { self[name]?.number }
  /// A flag; false where it was not given.
  public func flag(_ name: String) -> Bool { self[name]?.flag ?? false }
  /// A list of texts; empty where it was not given.
  public func texts(_ name: String) -> [String] { self[name]?.list?.compactMap(\.text) ?? [] }

  /// All arguments, by name.
  public var json: JSONValue { .object(members) }
}

extension MethodTable {
  /// The table as an OpenRPC document.
  ///
  /// - Source: OpenRPC 1.3.2.
  public func description(title: String, version: String) -> JSONValue {
    .object([
      "openrpc": .text("1.3.2"),
      "info": .object(["title": .text(title), "version": .text(version)]),
      "methods": .list(methods.map(\.openRPC)),
    ])
  }
}

extension RPCMethod {
  fileprivate var openRPC: JSONValue {
    var members = [
      JSONValue.Member("name", .text(name)), JSONValue.Member("summary", .text(sentence)),
      JSONValue.Member("paramStructure", .text("either")),
      JSONValue.Member(
        "params",
        .list(
          parameters.map { parameter in
            .object([
              "name": .text(parameter.name), "summary": .text(parameter.sentence),
              "required": .flag(parameter.isRequired), "schema": parameter.type.schema,
            ])
          }
        )
      ),
      JSONValue.Member(
        "result",
        .object(["name": .text("result"), "schema": result.schema])
      ),
    ]
    if !errors.isEmpty {
      members.append(JSONValue.Member("errors", .list(errors.map(\.json))))
    }
    return .object(members)
  }
}
