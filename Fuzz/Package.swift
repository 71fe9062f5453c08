// swift-tools-version: 6.2
import PackageDescription

// One executable for each parser; `make fuzz` and `make corpus` build and run them.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

// libFuzzer brings the main function.
let fuzzed = strict + [.unsafeFlags(["-parse-as-library"])]

let package = Package(
  name: "fuzz",
  dependencies: [.package(name: "martlet", path: "..")],
  targets: [
    .target(
      name: "Invariants",
      dependencies: [.product(name: "MartletHTTP", package: "martlet")],
      path: "Support/Invariants",
      swiftSettings: strict
    )
  ]
    + [
      "request", "response", "chunked", "http2", "paths", "conditions", "caching", "stored",
      "fields", "frames", "headed",
    ].map {
      name in
      .executableTarget(name: name, dependencies: ["Invariants"], swiftSettings: fuzzed)
    }
    + ["codings", "dictionaries"].map { name in
      .executableTarget(
        name: name,
        dependencies: ["Invariants", .product(name: "MartletCompression", package: "martlet")],
        swiftSettings: fuzzed
      )
    }
    + ["proxy", "hello", "probes", "jsonrpc", "acme", "gateways", "pages"].map { name in
      .executableTarget(
        name: name,
        dependencies: ["Invariants", .product(name: "MartletProtocols", package: "martlet")],
        swiftSettings: fuzzed
      )
    }
)
