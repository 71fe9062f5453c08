// swift-tools-version: 6.2
import PackageDescription

// What the benchmark of the library measures: a package beside Martlet's that uses it as anybody would, with the
// peers that it is measured by.

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let own = Target.Dependency.product(name: "MartletRuntime", package: "martlet")

let package = Package(
  name: "measured",
  dependencies: [
    .package(name: "martlet", path: "../.."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
    .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.0.0"),
  ],
  targets: [
    .executableTarget(
      name: "figures",
      dependencies: [
        own, .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
      ],
      path: "figures",
      swiftSettings: settings
    ),
    .executableTarget(
      name: "echo-martlet",
      dependencies: [own],
      path: "echo/martlet",
      swiftSettings: settings
    ),
    .executableTarget(
      name: "echo-nio",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      path: "echo/nio",
      swiftSettings: settings
    ),
  ]
)
