// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets over the parsers, run by dev/fuzz. The package carries the project's name so that `package` access
// reaches across, and its own manifest because every module in it is built with the fuzzer's instrumentation:
// `swift build --sanitize fuzzer` (which also leaves `main` to libFuzzer, as -sanitize=fuzzer in unsafe flags would
// not).

/// One folder per target, and what it needs beyond MeshCore.
let fuzzTargets: [(name: String, needs: [Target.Dependency])] = [
  ("HTTP1Request", ["HTTP1Property", "MeshHTTP"]),
  ("HTTP1Response", ["HTTP1Property", "MeshHTTP"]),
  ("HPACK", ["MeshHTTP"]),
  ("HTTP2Server", ["MeshHTTP"]),
  ("HTTP2Client", ["MeshHTTP"]),
  ("GRPC", ["MeshHTTP"]),
  ("ClientHello", ["MeshHTTP", "MeshPolicy"]),
  ("RateLimitAnswer", ["MeshPolicy"]),
  ("CheckAnswer", ["MeshHTTP", "MeshPolicy"]),
  ("Token", ["MeshPolicy"]),
  ("Regex", ["MeshPolicy"]),
  ("Names", []),
  ("Manifest", ["MeshResources"]),
]

let package = Package(
  name: "apus",
  products: fuzzTargets.map { .executable(name: "Fuzz" + $0.name, targets: ["Fuzz" + $0.name]) },
  dependencies: [.package(url: "https://github.com/jpsim/Yams", from: "6.2.2")],
  targets: [
    .target(name: "MeshCore"),
    .target(name: "MeshHTTP", dependencies: ["MeshCore"]),
    .target(name: "MeshPolicy", dependencies: ["MeshCore", "MeshHTTP"]),
    .target(
      name: "MeshResources", dependencies: ["MeshCore", "MeshPolicy", .product(name: "Yams", package: "Yams")]),
    // What both HTTP/1 targets demand of a decoder.
    .target(name: "HTTP1Property", dependencies: ["MeshCore", "MeshHTTP"], path: "HTTP1Property"),
  ]
    + fuzzTargets.map { target in
      .executableTarget(
        name: "Fuzz" + target.name, dependencies: ["MeshCore"] + target.needs, path: target.name,
        swiftSettings: [.unsafeFlags(["-parse-as-library"])])
    },
  swiftLanguageModes: [.v6]
)

for target in package.targets {
  target.swiftSettings =
    (target.swiftSettings ?? []) + [
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
    ]
}
