// swift-tools-version: 6.2
import PackageDescription

// Targets are cut by dependency weight; a target may import only what stands above it
// (docs/architecture.md). The data plane, down to `MeshProxy`, imports neither Foundation nor NIO.

let package = Package(
  name: "apus",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "apus", targets: ["apus"]),
    .executable(name: "apus-controller", targets: ["apus-controller"]),
    .executable(name: "apus-proxy", targets: ["apus-proxy"]),
    .executable(name: "apus-shop", targets: ["apus-shop"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // MARK: Data plane
    .target(name: "CLinux"),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "MeshCore"),
    .target(name: "MeshHTTP", dependencies: ["MeshCore"]),
    .target(name: "MeshPolicy", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(name: "MeshTelemetry", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(name: "MeshRuntime", dependencies: ["CLinux", "COpenSSL", "MeshCore"]),
    .target(
      name: "MeshAPI",
      dependencies: [
        "MeshCore", "MeshPolicy", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    .target(
      name: "MeshProxy",
      dependencies: [
        "CLinux", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshTelemetry", "MeshRuntime", "MeshAPI",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system && target.type != .plugin {
  target.swiftSettings =
    (target.swiftSettings ?? []) + [
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
    ]
}
