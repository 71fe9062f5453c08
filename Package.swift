// swift-tools-version: 6.2
import PackageDescription

// The architecture as a table that refuses: a module names its layer and what it uses, and an edge
// that points upward, or to a module declared below, stops the build with a sentence.

enum Layer: String {
  case base = "Base"
  case system = "System"
  case runtime = "Runtime"
  case protocols = "Protocols"
  case edge = "Edge"
  case control = "Control"
  case product = "Product"

  /// The layers whose modules a module of this layer may use, besides its own.
  var below: Set<Layer> {
    switch self {
    case .base: []
    case .system: [.base]
    case .runtime: [.base, .system]
    // No loop, no socket, no clock: that is what makes protocols testable and fuzzable.
    case .protocols: [.base]
    case .edge: [.base, .system, .runtime, .protocols]
    case .control: [.base, .system, .runtime, .protocols, .edge]
    case .product: [.base, .system, .runtime, .protocols, .edge, .control]
    }
  }
}

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableExperimentalFeature("Lifetimes"),
]

/// The libraries of others, with the package that each comes from.
let libraries = ["ArgumentParser": "swift-argument-parser"]

var layers: [String: Layer] = [:]
var targets: [Target] = []

@MainActor func check(_ name: String, _ layer: Layer, _ uses: [String]) -> [Target.Dependency] {
  for use in uses where libraries[use] == nil {
    guard let other = layers[use] else {
      fatalError("\(name) uses \(use), which is not declared above it")
    }
    precondition(
      layer.below.contains(other) || other == layer,
      "\(name) (\(layer.rawValue)) may not use \(use) (\(other.rawValue))"
    )
  }
  layers[name] = layer
  return uses.map { use in
    libraries[use].map { .product(name: use, package: $0) } ?? .byName(name: use)
  }
}

/// Declares a module of a layer, with what it uses, and its test target where it has one.
@MainActor func module(
  _ name: String,
  _ layer: Layer,
  _ uses: [String] = [],
  tests: Bool = true,
  embedding files: [String] = [],
  alsoTestedWith: [String] = []
) {
  targets.append(
    .target(
      name: name,
      dependencies: check(name, layer, uses),
      path: "Sources/\(layer.rawValue)/\(name)",
      resources: files.map { .embedInCode($0) },
      swiftSettings: strict
    )
  )
  if tests {
    targets.append(
      .testTarget(
        name: "\(name)Tests",
        dependencies: ([name] + uses + alsoTestedWith).map { .byName(name: $0) },
        path: "Tests/\(layer.rawValue)/\(name)Tests",
        swiftSettings: strict
      )
    )
  }
}

/// Declares a program of a layer, with what it uses, and the test target that starts it.
@MainActor func executable(
  _ name: String,
  _ layer: Layer,
  _ uses: [String] = [],
  testedWith: [String] = []
) {
  targets.append(
    .executableTarget(
      name: name,
      dependencies: check(name, layer, uses),
      path: "Sources/\(layer.rawValue)/\(name)",
      swiftSettings: strict
    )
  )
  targets.append(
    .testTarget(
      name: "\(name)Tests",
      dependencies: ([name] + testedWith).map { .byName(name: $0) },
      path: "Tests/\(layer.rawValue)/\(name)Tests",
      swiftSettings: strict
    )
  )
}

/// Declares a module of C headers, with the system's libraries that it stands before.
@MainActor func headers(_ name: String, _ layer: Layer, libraries: [String] = []) {
  layers[name] = layer
  targets.append(
    .target(
      name: name,
      path: "Sources/\(layer.rawValue)/\(name)",
      linkerSettings: libraries.map { .linkedLibrary($0) }
    )
  )
}

/// Declares what several test targets share.
@MainActor func support(_ name: String, _ uses: [String] = []) {
  targets.append(
    .target(
      name: name,
      dependencies: uses.map { .byName(name: $0) },
      path: "Tests/Support/\(name)",
      swiftSettings: strict
    )
  )
}

/// Declares a program that tests start.
@MainActor func program(_ name: String, _ uses: [String] = []) {
  targets.append(
    .executableTarget(
      name: name,
      dependencies: uses.map { .byName(name: $0) },
      path: "Tests/Support/\(name)",
      swiftSettings: strict
    )
  )
}

/// Declares a test target that belongs to no module.
@MainActor func tests(_ name: String, _ uses: [String] = [], optimized: Bool = false) {
  targets.append(
    .testTarget(
      name: name,
      dependencies: uses.map { .byName(name: $0) },
      path: "Tests/\(name)",
      swiftSettings: optimized ? strict + [.unsafeFlags(["-O"])] : strict
    )
  )
}

// The repository as a whole. Its tests look at every letter again and again; slow ones would keep a thread
// that others wait for.
tests("TidyTests", optimized: true)

// What tests share
support("TestCorpora")
support("TestPeers", ["JSON"])
support("TestLoop", ["CLinux", "MartletSystem", "MartletLoop"])
support("TestCrowd", ["MartletSystem", "MartletSync"])
support("CAllocations")

// Base
module("MartletBytes", .base)
module("MartletTelemetry", .base, ["MartletBytes"])
module("JSON", .base)
module("CSV", .base, ["MartletBytes"])
module("Directives", .base, ["JSON"])

// System
headers("CLinux", .system)
headers("COpenSSL", .system, libraries: ["ssl", "crypto"])
headers("CCompression", .system, libraries: ["z", "brotlienc", "brotlidec", "zstd"])
module("MartletSystem", .system, ["CLinux", "MartletBytes"])
module("Sealing", .system, ["CLinux", "COpenSSL"])
module("TLS", .system, ["COpenSSL", "MartletSystem"], alsoTestedWith: ["TestPeers"])

// Runtime
module(
  "MartletSync",
  .runtime,
  ["CLinux", "MartletSystem"],
  alsoTestedWith: ["TestCrowd", "TestPeers"]
)
module(
  "MartletQueues",
  .runtime,
  ["MartletSystem", "MartletSync"],
  alsoTestedWith: ["TestCrowd"]
)
module(
  "MartletLoop",
  .runtime,
  ["MartletBytes", "CLinux", "MartletSystem"],
  alsoTestedWith: ["TestLoop", "CAllocations"]
)
module(
  "MartletNet",
  .runtime,
  ["CLinux", "MartletBytes", "JSON", "MartletSystem", "MartletLoop"],
  alsoTestedWith: ["TestLoop"]
)
module(
  "MartletProcess",
  .runtime,
  ["MartletSystem", "MartletSync", "MartletQueues", "MartletLoop"],
  alsoTestedWith: ["TestProgram", "TestCrowd", "TestPeers"]
)

module(
  "MartletServers",
  .runtime,
  [
    "CLinux", "MartletBytes", "MartletSystem", "MartletSync", "MartletLoop", "MartletNet",
    "MartletProcess",
  ]
)

// Protocols
module("HTTPMessage", .protocols, ["MartletBytes"], alsoTestedWith: ["TestCorpora"])
module("HTTP1", .protocols, ["MartletBytes", "HTTPMessage"], alsoTestedWith: ["TestCorpora"])
module(
  "HTTPCaching",
  .protocols,
  ["MartletBytes", "HTTPMessage"],
  alsoTestedWith: ["HTTP1", "TestCorpora"]
)
module("HTTP2", .protocols, ["MartletBytes", "HTTPMessage"], alsoTestedWith: ["HTTP1"])
module("GRPC", .protocols)
module(
  "GatewayProtocols",
  .protocols,
  ["MartletBytes", "HTTPMessage"],
  alsoTestedWith: ["HTTP1", "TestCorpora"]
)
module("ACME", .protocols, ["MartletBytes", "JSON", "HTTPMessage", "HTTP1"])
module(
  "Probes",
  .protocols,
  ["MartletBytes", "HTTPMessage", "HTTP1", "HTTP2", "GRPC"],
  alsoTestedWith: ["TestCorpora"]
)
module("Prefaces", .protocols, ["MartletBytes"], alsoTestedWith: ["TestCorpora"])
module("WebSocket", .protocols, ["MartletBytes"])
module("Crawling", .protocols)
module("RESP", .protocols, ["MartletBytes"])
module("JSONRPC", .protocols, ["JSON", "MartletBytes"], alsoTestedWith: ["TestCorpora"])

// Edge
module("FailurePolicies", .edge)
module(
  "Compression",
  .edge,
  ["CCompression", "MartletBytes", "HTTPMessage"],
  alsoTestedWith: ["HTTP1"]
)
module(
  "Configuration",
  .edge,
  ["MartletSystem", "Directives", "TLS", "FailurePolicies", "Compression"]
)
module("Balancing", .edge)
module("OutlierDetection", .edge)
module("KeyedTables", .edge, ["MartletSystem"])
module("Stickiness", .edge, ["MartletBytes", "Sealing", "KeyedTables"])
module("Limiting", .edge, ["KeyedTables"])
module("Routing", .edge, ["MartletBytes", "Directives", "Configuration"])
module(
  "StaticFiles",
  .edge,
  [
    "MartletBytes", "JSON", "MartletSystem", "HTTPMessage", "Configuration", "KeyedTables",
    "Routing",
  ],
  alsoTestedWith: ["HTTP1"]
)
module(
  "Cache",
  .edge,
  ["MartletBytes", "MartletSystem", "MartletLoop", "HTTPMessage", "HTTPCaching", "KeyedTables"],
  alsoTestedWith: ["HTTP1"]
)
module(
  "Sessions",
  .edge,
  [
    "MartletBytes", "MartletSystem", "MartletLoop", "MartletNet", "HTTPMessage", "RESP", "Sealing",
  ]
)
module(
  "MartletHandlers",
  .edge,
  ["MartletBytes", "JSON", "HTTPMessage", "WebSocket", "Sessions"]
)
module(
  "Applications",
  .edge,
  ["MartletBytes", "HTTPMessage", "MartletSystem"],
  embedding: ["messages.py", "worker.py", "lock.py", "preload.py", "asgi.py", "websocket.py"]
)
module(
  "Edge",
  .edge,
  [
    "MartletBytes", "MartletTelemetry", "Directives", "MartletSystem", "TLS", "MartletLoop",
    "MartletNet", "HTTPMessage", "HTTP1", "HTTP2", "HTTPCaching", "GRPC", "ACME", "Prefaces",
    "GatewayProtocols", "FailurePolicies", "Compression",
    "Configuration", "Balancing", "KeyedTables", "Limiting", "OutlierDetection", "Stickiness",
    "Routing", "StaticFiles", "Cache", "Sessions", "MartletHandlers", "Applications",
  ]
)

// Control
module("Handover", .control, ["MartletSystem", "MartletLoop"])
module("Admin", .control, ["JSON", "JSONRPC", "MartletSystem", "MartletLoop", "MartletNet"])
module(
  "Supervision",
  .control,
  [
    "JSON", "JSONRPC", "MartletSystem", "MartletLoop", "MartletNet", "MartletProcess", "Handover",
    "Admin",
  ],
  alsoTestedWith: ["TestProgram", "TestPeers"]
)

module(
  "MartletServer",
  .control,
  [
    "CLinux", "Directives", "MartletSystem", "MartletLoop", "MartletProcess", "Configuration",
    "MartletHandlers", "Edge", "Supervision",
  ]
)

module(
  "HealthChecks",
  .control,
  [
    "MartletSystem", "MartletLoop", "MartletNet", "MartletProcess", "HTTPMessage", "Probes",
    "Configuration", "Edge", "Handover",
  ],
  alsoTestedWith: ["TestLoop"]
)

module(
  "Locking",
  .control,
  [
    "MartletBytes", "JSON", "MartletSystem", "MartletLoop", "MartletNet", "HTTPMessage", "HTTP1",
    "RESP",
  ],
  alsoTestedWith: ["TestPeers"]
)

module(
  "ScriptRunner",
  .control,
  [
    "CLinux", "MartletBytes", "MartletSystem", "MartletLoop", "MartletNet", "MartletProcess",
    "GatewayProtocols",
  ]
)

module(
  "Certificates",
  .control,
  [
    "MartletBytes", "MartletTelemetry", "JSON", "MartletSystem", "TLS", "MartletLoop", "MartletNet",
    "MartletProcess", "ACME", "Directives", "Configuration", "Edge", "Locking",
  ],
  alsoTestedWith: ["TestPeers"]
)

// What tests start
program(
  "TestProgram",
  [
    "CLinux", "MartletSystem", "MartletLoop", "MartletNet", "MartletProcess", "Handover",
    "Supervision",
  ]
)

// Product
executable(
  "martlet",
  .product,
  [
    "ArgumentParser", "CLinux", "MartletBytes", "MartletTelemetry", "JSON", "CSV", "JSONRPC",
    "MartletSystem", "TLS", "MartletSync", "MartletQueues", "MartletLoop", "MartletNet",
    "MartletProcess", "HTTPMessage", "HTTP1", "Crawling", "Directives",
    "Configuration", "Balancing", "Applications", "Edge", "Handover", "Supervision", "HealthChecks",
    "ScriptRunner", "Locking", "Certificates", "Admin", "MartletServer",
  ],
  testedWith: ["MartletSystem"]
)

// What is true of the program as a whole, with the programs of others
tests(
  "PeerTests",
  ["JSON", "HTTPMessage", "HTTP2", "GRPC", "Compression", "TestPeers", "TestCorpora", "martlet"]
)

let package = Package(
  name: "martlet",
  products: [
    .executable(name: "martlet", targets: ["martlet"]),
    .library(
      name: "MartletRuntime",
      targets: [
        "MartletBytes", "JSON", "MartletSystem", "MartletSync", "MartletQueues", "MartletLoop",
        "MartletNet",
        "MartletProcess", "MartletServers",
      ]
    ),
    .library(
      name: "MartletServer",
      targets: ["MartletServer", "MartletHandlers", "Sessions", "WebSocket", "JSON"]
    ),
    .library(
      name: "MartletHTTP",
      targets: ["MartletBytes", "HTTPMessage", "HTTP1", "HTTP2", "HTTPCaching"]
    ),
    .library(
      name: "MartletCompression",
      targets: ["MartletBytes", "HTTPMessage", "Compression"]
    ),
    .library(
      name: "MartletProtocols",
      targets: [
        "JSON", "Prefaces", "Probes", "GRPC", "ACME", "JSONRPC", "GatewayProtocols", "Crawling",
      ]
    ),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: targets
)
