// swift-tools-version: 6.2
import PackageDescription

// Targets are cut by dependency weight; a target may import only what stands above it
// (docs/architecture.md). The data plane, down to `MeshProxy`, imports neither Foundation nor NIO.

// MARK: Products of other packages

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let certificates = Target.Dependency.product(name: "X509", package: "swift-certificates")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grpcCore = Target.Dependency.product(name: "GRPCCore", package: "grpc-swift-2")
let grpcProtobuf = Target.Dependency.product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let grpcTransport = Target.Dependency.product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

// MARK: Linking

// Programs carry the Swift runtime. `swift build --static-swift-stdlib` would do the same, but compiles everything a second
// time for `swift test`, which rejects it.
// SwiftProtobuf refers to FoundationEssentials, and nothing more of Foundation.
let staticRuntime: [LinkerSetting] = [
  .unsafeFlags(
    ["-static-stdlib", "-lFoundationEssentials", "-l_FoundationCollections", "-l_FoundationCShims"],
    .when(platforms: [.linux]))
]
let staticFoundation: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-static-stdlib", "-lCoreFoundation", "-l_FoundationICU", "-l_FoundationCShims", "-l_FoundationCollections",
      "-lFoundationInternationalization", "-lFoundationEssentials", "-lBlocksRuntime",
    ], .when(platforms: [.linux]))
]

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
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // MARK: Data plane
    .target(name: "CLinux"),
    .systemLibrary(name: "CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "MeshCore"),
    .target(name: "MeshHTTP", dependencies: ["MeshCore"]),
    .target(name: "MeshPolicy", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(name: "MeshTelemetry", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(name: "MeshRuntime", dependencies: ["CAres", "CLinux", "COpenSSL", "MeshCore"]),
    .target(name: "MeshAPI", dependencies: ["MeshCore", "MeshPolicy", protobuf], exclude: ["Protos"]),
    .target(
      name: "MeshProxy",
      dependencies: [
        "CLinux", "CZlib", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshTelemetry", "MeshRuntime", "MeshAPI", protobuf,
      ]),
    .executableTarget(name: "apus-proxy", dependencies: ["MeshProxy"], linkerSettings: staticRuntime),

    // MARK: Control plane
    .target(name: "MeshResources", dependencies: ["MeshCore", "MeshPolicy", yams]),
    .target(name: "MeshIdentity", dependencies: ["CLinux", "MeshCore", certificates, crypto, asn1]),
    .target(name: "MeshControlAPI", dependencies: ["MeshAPI", grpcCore, grpcProtobuf, protobuf]),
    .target(
      name: "MeshControl",
      dependencies: [
        "CLinux", "MeshCore", "MeshPolicy", "MeshResources", "MeshAPI", "MeshControlAPI", "MeshIdentity", certificates,
        crypto,
        asn1, protobuf, grpcCore, grpcTransport, nioCore, nioHTTP1, nioPosix, nioSSL, logging,
      ]),
    .executableTarget(
      name: "apus-controller", dependencies: ["MeshControl", "MeshCore", "MeshResources", argumentParser, logging],
      linkerSettings: staticFoundation),

    // MARK: Tools for people
    .target(name: "CProcess"),
    .target(
      name: "MeshCLI",
      dependencies: [
        "CLinux", "CProcess", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshAPI", "MeshControl", "MeshControlAPI",
        "MeshIdentity",
        "MeshResources", argumentParser, grpcCore, grpcTransport, protobuf,
      ]),
    .executableTarget(name: "apus", dependencies: ["MeshCLI"], linkerSettings: staticFoundation),
    .executableTarget(
      name: "apus-shop", dependencies: [nioCore, nioPosix, nioHTTP1], linkerSettings: staticFoundation),

    // MARK: Tests
    .testTarget(name: "MeshCoreTests", dependencies: ["MeshCore"]),
    .testTarget(name: "MeshHTTPTests", dependencies: ["MeshCore", "MeshHTTP"]),
    .testTarget(name: "MeshPolicyTests", dependencies: ["MeshCore", "MeshHTTP", "MeshPolicy"]),
    .testTarget(name: "MeshTelemetryTests", dependencies: ["MeshCore", "MeshHTTP", "MeshTelemetry"]),
    .testTarget(name: "MeshRuntimeTests", dependencies: ["MeshCore", "MeshRuntime", "CLinux", "COpenSSL"]),
    .testTarget(name: "MeshAPITests", dependencies: ["MeshAPI", "MeshCore", "MeshPolicy", protobuf]),
    .testTarget(name: "MeshResourcesTests", dependencies: ["MeshCore", "MeshPolicy", "MeshResources"]),
    .testTarget(
      name: "MeshIdentityTests", dependencies: ["MeshCore", "MeshIdentity", certificates, crypto, asn1]),
    .testTarget(
      name: "MeshControlTests",
      dependencies: [
        "MeshAPI", "MeshControl", "MeshControlAPI", "MeshCore", "MeshIdentity", "MeshPolicy", "MeshResources",
        certificates, crypto, asn1, protobuf, grpcCore, grpcTransport, logging, nioCore, nioPosix, nioSSL,
      ]),
    // Counts calls of malloc per thread, for the tests that bound them.
    .target(name: "CMallocCounter", path: "Tests/CMallocCounter"),
    .testTarget(
      name: "MeshProxyTests",
      dependencies: [
        "CMallocCounter", "COpenSSL", "CZlib", "MeshAPI", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshProxy",
        "MeshRuntime", "MeshTelemetry",
      ]),
    .testTarget(
      name: "MeshCLITests",
      dependencies: [
        "MeshCLI", "MeshCore", "MeshHTTP", "MeshPolicy", "MeshAPI", "MeshControl", "MeshResources", argumentParser,
        protobuf,
      ]),
  ],
  swiftLanguageModes: [.v6]
)

// MARK: - Settings of every target

let dataPlane: Set<String> = [
  "MeshCore", "MeshHTTP", "MeshPolicy", "MeshTelemetry", "MeshRuntime", "MeshProxy",
]
// CI turns warnings in our own targets into errors (see the Makefile).
let strict: [SwiftSetting] = Context.environment["APUS_STRICT"] != nil ? [.treatAllWarnings(as: .error)] : []
// Run-time exclusivity checks cost the data plane about a tenth of its time; debug builds keep them
// (docs/design/0001-event-loop.md has the numbers).
let unchecked: [SwiftSetting] = [
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

// Their parts are internal to them, and tested in the same release build that people run.
let withInternalTests: Set<String> = ["MeshProxy", "MeshControl", "MeshCLI"]
let testable: [SwiftSetting] = [.unsafeFlags(["-enable-testing"], .when(configuration: .release))]
// The tests' own code is not what is measured, and takes the optimiser longer than everything that it tests.
let unoptimised: [SwiftSetting] = [.unsafeFlags(["-Onone"], .when(configuration: .release))]

for target in package.targets where target.type != .system && target.type != .plugin {
  target.swiftSettings =
    (target.swiftSettings ?? []) + strict + (dataPlane.contains(target.name) ? unchecked : [])
    + (withInternalTests.contains(target.name) ? testable : []) + (target.type == .test ? unoptimised : []) + [
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
    ]
}
