import Glibc
import MeshResources

/// A directory of manifests, one level of subdirectories included.
///
/// Files are those that end in `.yaml`, `.yml` or `.json`, without those that editors keep for themselves. An object
/// whose new version has an error stays in its last good version; an object whose file is deleted goes. While the
/// directory itself is missing, everything stays as it was.
package struct ManifestDirectory: Sendable {
  package let path: String

  package init(path: String) {
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
  }

  /// Reads everything once.
  package static func load(directory: String) -> ManifestSet { load(paths: [directory]) }

  /// Reads files and directories once. `text` stands for a file that is none, such as standard input.
  package static func load(paths: [String], text: (name: String, text: String)? = nil) -> ManifestSet {
    var store = ManifestStore()
    if let text { store.update(text.name, text: text.text) }
    var missing: [ManifestProblem] = []
    for path in paths {
      let path = ManifestDirectory(path: path).path
      switch ManifestFiles.kind(of: path) {
      case .directory:
        if let found = ManifestFiles.scan(path) {
          for file in found.files { ManifestFiles.read(file, into: &store) }
        } else {
          missing.append(unreadable(path))
        }
      case .file, .other: ManifestFiles.read(path, into: &store)
      case .missing:
        missing.append(
          ManifestProblem(
            position: ManifestPosition(file: path, line: 1, column: 1), message: "there is no such file or directory"))
      }
    }
    var set = store.merged()
    set.problems = missing + set.problems
    return set
  }

  /// The directory as it is now, then again after every change.
  ///
  /// Changes that follow each other within `debounce` come as one, so that a set of files written together takes effect
  /// together; tools write theirs far less than 10 ms apart. A slow reader gets the newest state only. The watch ends,
  /// with its thread, when the stream is dropped.
  package func changes(debounce: Duration = .milliseconds(10)) -> AsyncStream<ManifestUpdate> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let stop = StopSignal()
      let path = path
      continuation.onTermination = { _ in stop.signal() }
      DetachedThread.start {
        var watch = ManifestWatch(directory: path, debounce: debounce)
        watch.run(until: stop) { continuation.yield($0) }
        continuation.finish()
      }
    }
  }

  static func unreadable(_ path: String) -> ManifestProblem {
    ManifestProblem(
      position: ManifestPosition(file: path, line: 1, column: 1), message: "the directory cannot be read",
      fix: "create it, or check its permissions")
  }
}

/// Tells the watching thread to end: a pipe, so that `poll` can wait for it. Its descriptors close with the last
/// reference.
final class StopSignal: Sendable {
  let readEnd: Int32
  private let writeEnd: Int32

  init() {
    var ends: [Int32] = [-1, -1]
    _ = pipe(&ends)
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    readEnd = ends[0]
    writeEnd = ends[1]
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  func signal() {
    var byte: UInt8 = 1
    _ = write(writeEnd, &byte, 1)
  }
}

/// A detached POSIX thread: the watch blocks in `poll`, which a task must not.
enum DetachedThread {
  private final class Box: Sendable {
    let work: @Sendable () -> Void

    init(_ work: @escaping @Sendable () -> Void) { self.work = work }
  }

  static func start(_ work: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    // The YAML parser recurses to its nesting limit of 1,000 levels.
    pthread_attr_setstacksize(&attributes, 8 * 1024 * 1024)
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(work)).toOpaque()
    let failed = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().work()
        return nil
      }, box)
    if failed != 0 { Unmanaged<Box>.fromOpaque(box).release() }
    pthread_attr_destroy(&attributes)
  }
}
