// swift-tools-version: 6.2
import PackageDescription

// The data plane alone, for a debug build in minutes: with run-time exclusivity checks, overflow traps and assertions that the
// release build of ../../Package.swift leaves out. `make debug-test` runs its unit tests; its `apus-proxy` can stand in for the
// release one (APUS_BIN_DIR) in the end-to-end tests.

let package = Package(
  name: "apus",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: [])
  ],
  targets: [
    .target(name: "CLinux"),
    .systemLibrary(name: "CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "MeshCore"),
    .target(name: "MeshHTTP", dependencies: ["MeshCore"]),
    .target(name: "MeshPolicy", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(name: "MeshTelemetry", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(name: "MeshRuntime", dependencies: ["CAres", "CLinux", "COpenSSL", "MeshCore"]),
    .target(
      name: "MeshAPI",
      dependencies: ["MeshCore", "MeshPolicy", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["Protos"]),
    .target(
      name: "MeshProxy",
      dependencies: [
        "CLinux", "CZlib", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshTelemetry", "MeshRuntime", "MeshAPI",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    .executableTarget(name: "apus-proxy", dependencies: ["MeshProxy"]),
    .target(name: "CMallocCounter", path: "Tests/CMallocCounter"),
    .testTarget(name: "MeshCoreTests", dependencies: ["MeshCore"]),
    .testTarget(name: "MeshHTTPTests", dependencies: ["MeshCore", "MeshHTTP"]),
    .testTarget(name: "MeshPolicyTests", dependencies: ["MeshCore", "MeshHTTP", "MeshPolicy"]),
    .testTarget(name: "MeshTelemetryTests", dependencies: ["MeshCore", "MeshHTTP", "MeshTelemetry"]),
    .testTarget(
      name: "MeshAPITests",
      dependencies: ["MeshAPI", "MeshCore", "MeshPolicy", .product(name: "SwiftProtobuf", package: "swift-protobuf")]),
    .testTarget(name: "MeshRuntimeTests", dependencies: ["MeshCore", "MeshRuntime", "CLinux", "COpenSSL"]),
    .testTarget(
      name: "MeshProxyTests",
      dependencies: [
        "CMallocCounter", "COpenSSL", "CZlib", "MeshAPI", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshProxy",
        "MeshRuntime", "MeshTelemetry",
      ]),
  ],
  swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
  target.swiftSettings = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
  ]
}
