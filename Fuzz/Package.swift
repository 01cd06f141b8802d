// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Fuzz targets over the parsers, run by dev/fuzz. The package carries the project's name so that `package` access
// reaches across, and its own manifest because every module in it is built with the fuzzer's instrumentation:
// `swift build --sanitize fuzzer` (which also leaves `main` to libFuzzer, as -sanitize=fuzzer in unsafe flags would
// not).

let root = URL(filePath: #filePath).deletingLastPathComponent().path()

/// One folder per target; a folder that is not there yet is left out.
let fuzzTargets = ["HTTP1Request", "HTTP1Response", "HPACK", "HTTP2Server", "HTTP2Client"]
  .filter { FileManager.default.fileExists(atPath: root + "/" + $0) }

let package = Package(
  name: "apus",
  products: fuzzTargets.map { .executable(name: "Fuzz" + $0, targets: ["Fuzz" + $0]) },
  targets: [
    .target(name: "MeshCore"),
    .target(name: "MeshHTTP", dependencies: ["MeshCore"]),
    // What both HTTP/1 targets demand of a decoder.
    .target(name: "HTTP1Property", dependencies: ["MeshCore", "MeshHTTP"], path: "HTTP1Property"),
  ]
    + fuzzTargets.map { name in
      .executableTarget(
        name: "Fuzz" + name,
        dependencies: ["MeshCore", "MeshHTTP"] + (name.hasPrefix("HTTP1") ? ["HTTP1Property"] : []), path: name,
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
