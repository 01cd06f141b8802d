import Foundation
import MeshResources
import Testing

@testable import MeshControl

/// A real directory, watched; gone when the test ends.
private final class WatchedDirectory {
  let url: URL
  private var sets: AsyncStream<ManifestUpdate>.AsyncIterator

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "apus-manifests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    sets = ManifestDirectory(path: url.path).changes(debounce: .milliseconds(20)).makeAsyncIterator()
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: url.appending(path: name))
  }

  /// Waits for the state that a change leads to; the test's time limit ends a wait in vain.
  func next(where isExpected: (ManifestSet) -> Bool) async -> ManifestSet {
    while let update = await sets.next(isolation: nil) {
      if isExpected(update.set) { return update.set }
    }
    return ManifestSet()
  }
}

private func split(_ weight: String) -> String {
  """
  apiVersion: split.smi-spec.io/v1alpha4
  kind: TrafficSplit
  metadata: {name: orders, namespace: shop}
  spec: {service: orders, backends: [{service: orders-v1, weight: \(weight)}]}

  """
}

private let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n"

extension ManifestSet {
  fileprivate var weight: UInt32? {
    let key = ResourceKey(group: "split.smi-spec.io", kind: "TrafficSplit", namespace: "shop", name: "orders")
    guard case .trafficSplit(let split) = objects[key]?.value else { return nil }
    return split.backends.first?.weight
  }
}

@Suite("Manifest directory", .timeLimit(.minutes(1)))
struct ManifestDirectoryTests {
  @Test("a broken edit keeps the last good version, a fix replaces it, a deletion removes it")
  func lastGood() async throws {
    let directory = try WatchedDirectory()
    #expect(await directory.next { _ in true }.objects.isEmpty)
    try directory.write(split("10"), to: "split.yaml")
    #expect(await directory.next { $0.weight == 10 }.problems.isEmpty)
    try directory.write(split("ten"), to: "split.yaml")
    let broken = await directory.next { $0.hasErrors }
    #expect(broken.weight == 10)
    #expect(broken.problems.map(\.stale) == [true])
    #expect(broken.problems.map(\.field) == ["spec.backends[0].weight"])
    try directory.write("a: [\n", to: "split.yaml")
    let unreadable = await directory.next { $0.problems.first?.object == "" }
    #expect(unreadable.weight == 10)
    #expect(unreadable.problems.map(\.stale) == [true])
    try directory.write(split("20"), to: "split.yaml")
    #expect(await directory.next { $0.weight == 20 }.problems.isEmpty)
    try FileManager.default.removeItem(at: directory.url.appending(path: "split.yaml"))
    #expect(await directory.next { $0.weight == nil }.objects.isEmpty)
  }

  @Test("a file renamed over another replaces it, as mv and vim do")
  func renameOver() async throws {
    let directory = try WatchedDirectory()
    try directory.write(split("10"), to: "split.yaml")
    _ = await directory.next { $0.weight == 10 }
    let target = directory.url.appending(path: "split.yaml")
    try directory.write(split("20"), to: ".split.yaml.swp")
    #expect(rename(directory.url.appending(path: ".split.yaml.swp").path, target.path) == 0)
    _ = await directory.next { $0.weight == 20 }
    // vim: the old file becomes a backup, a new one is written in its place.
    #expect(rename(target.path, target.path + "~") == 0)
    try directory.write(split("30"), to: "split.yaml")
    try FileManager.default.removeItem(atPath: target.path + "~")
    #expect(await directory.next { $0.weight == 30 }.objects.count == 1)
  }

  @Test("subdirectories count, one level down")
  func subdirectories() async throws {
    let directory = try WatchedDirectory()
    _ = await directory.next { _ in true }
    let inner = directory.url.appending(path: "shop/deep")
    try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
    try directory.write(account, to: "shop/deep/account.yaml")
    try directory.write(split("10"), to: "shop/split.yml")
    #expect(await directory.next { $0.weight == 10 }.objects.count == 1)
    try directory.write(split("11"), to: "shop/split.yml")
    _ = await directory.next { $0.weight == 11 }
    try FileManager.default.removeItem(at: directory.url.appending(path: "shop"))
    #expect(await directory.next { $0.weight == nil }.objects.isEmpty)
  }

  @Test("while the directory is away its contents stay, and it is found when it is back")
  func directoryAway() async throws {
    let directory = try WatchedDirectory()
    try directory.write(split("10"), to: "split.yaml")
    _ = await directory.next { $0.weight == 10 }
    let away = directory.url.path + "-away"
    #expect(rename(directory.url.path, away) == 0)
    let gone = await directory.next { $0.hasErrors }
    #expect(gone.weight == 10)
    #expect(gone.problems.map(\.stale) == [true])
    try FileManager.default.createDirectory(at: directory.url, withIntermediateDirectories: true)
    try directory.write(split("12"), to: "split.yaml")
    #expect(await directory.next { $0.weight == 12 }.problems.isEmpty)
    try FileManager.default.removeItem(atPath: away)
  }

  @Test("of an object in two files the first path wins, and the error names both")
  func twoFiles() throws {
    let directory = try WatchedDirectory()
    try directory.write(split("2"), to: "b.yaml")
    try directory.write(split("1"), to: "a.yaml")
    let set = ManifestDirectory.load(directory: directory.url.path)
    #expect(set.weight == 1)
    #expect(set.problems.map(\.file) == [directory.url.path + "/b.yaml"])
    #expect(set.problems.first?.message.contains(directory.url.path + "/a.yaml:1:1") == true)
  }

  @Test(
    "files that editors keep for themselves are no manifests",
    arguments: [".a.yaml", "a.yaml~", "a.yaml.swp", "a.yaml.swx", "4913", "#a.yaml#", "a.yaml.tmp", "a.txt", ".yaml"])
  func editorFiles(name: String) {
    #expect(!ManifestFiles.isManifest(name))
  }

  @Test("a path that does not exist is a problem of its own")
  func missing() {
    let set = ManifestDirectory.load(paths: ["/no/such/file.yaml"])
    #expect(set.problems.map(\.message) == ["there is no such file or directory"])
  }
}
