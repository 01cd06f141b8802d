import CLinux
import Glibc
import MeshResources

/// Follows a directory of manifests with inotify(7). Confined to the thread that runs it.
///
/// A file is read when its writer closes it or it is moved into place, not while it is written; events are gathered
/// until none has come for the debounce time (at most ten times that).
struct ManifestWatch {
  private static let fileEvents = UInt32(
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
  /// How often a missing directory is looked for.
  private static let retryMilliseconds: Int32 = 250

  private let directory: String
  private let debounceMilliseconds: Int32
  private var store = ManifestStore()
  private var descriptor: Int32 = -1
  private var watches: [Int32: String] = [:]
  /// Paths to look at again; true: the file is complete and can be read.
  private var pending: [String: Bool] = [:]
  private var needsScan = true

  init(directory: String, debounce: Duration) {
    self.directory = directory
    let (seconds, attoseconds) = debounce.components
    debounceMilliseconds = Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
  }

  mutating func run(until stop: StopSignal, emit: (ManifestUpdate) -> Void) {
    defer { closeDescriptor() }
    var last: ManifestUpdate?
    while true {
      if needsScan { scan() } else { readPending() }
      let (set, changed) = store.update()
      let isNew = changed.map { !$0.isEmpty } ?? (set != last?.set)
      if isNew {
        let update = ManifestUpdate(set: set, number: (last?.number ?? 0) + 1, changed: changed)
        emit(update)
        last = update
      }
      guard waitForEvents(stop) else { return }
    }
  }

  // MARK: Reading

  /// Watches and reads everything anew: at the start, after a lost event, and when directories come or go.
  private mutating func scan() {
    pending = [:]
    closeDescriptor()
    descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    // Watch before listing, so that no change falls between the two.
    guard watch(directory), let first = ManifestFiles.scan(directory) else {
      closeDescriptor()
      var problem = ManifestDirectory.unreadable(directory)
      problem.stale = !store.paths.isEmpty
      return store.setDirectoryProblem(problem)
    }
    for subdirectory in first.subdirectories { _ = watch(subdirectory) }
    let found = ManifestFiles.scan(directory) ?? first
    store.setDirectoryProblem(nil)
    needsScan = false
    for path in store.paths.subtracting(found.files) { store.remove(path) }
    for path in found.files { ManifestFiles.read(path, into: &store) }
  }

  private mutating func readPending() {
    for (path, isComplete) in pending {
      if ManifestFiles.kind(of: path) != .file {
        store.remove(path)
      } else if isComplete {
        ManifestFiles.read(path, into: &store)
      }
    }
    pending = [:]
  }

  private mutating func watch(_ path: String) -> Bool {
    let watch = inotify_add_watch(descriptor, path, Self.fileEvents)
    if watch >= 0 { watches[watch] = path }
    return watch >= 0
  }

  private mutating func closeDescriptor() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    watches = [:]
  }

  // MARK: Waiting

  /// Blocks until something changed and has settled; false: time to stop.
  private mutating func waitForEvents(_ stop: StopSignal) -> Bool {
    if needsScan {
      return !poll(stop, Self.retryMilliseconds).stopped
    }
    repeat {
      let ready = poll(stop, -1)
      if ready.stopped { return false }
      if ready.events { drain() }
    } while pending.isEmpty && !needsScan
    for _ in 0..<10 {
      let ready = poll(stop, debounceMilliseconds)
      if ready.stopped { return false }
      guard ready.events else { break }
      drain()
    }
    return true
  }

  private func poll(_ stop: StopSignal, _ timeout: Int32) -> (events: Bool, stopped: Bool) {
    var descriptors = [
      pollfd(fd: stop.readEnd, events: Int16(POLLIN), revents: 0),
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
    ]
    let count = Glibc.poll(&descriptors, nfds_t(descriptors.count), timeout)
    guard count > 0 else { return (false, false) }
    return (descriptors[1].revents != 0, descriptors[0].revents != 0)
  }

  private mutating func drain() {
    withUnsafeTemporaryAllocation(byteCount: 64 * 1024, alignment: MemoryLayout<inotify_event>.alignment) { buffer in
      while true {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        guard count > 0 else { return }
        var offset = 0
        while offset + MemoryLayout<inotify_event>.size <= count {
          let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
          let start = offset + MemoryLayout<inotify_event>.size
          let name = UnsafeRawBufferPointer(rebasing: buffer[start..<start + Int(event.len)]).prefix { $0 != 0 }
          handle(event, name: String(decoding: name, as: UTF8.self))
          offset = start + Int(event.len)
        }
      }
    }
  }

  private mutating func handle(_ event: inotify_event, name: String) {
    func has(_ flags: Int...) -> Bool { flags.contains { event.mask & UInt32($0) != 0 } }
    if has(Int(IN_Q_OVERFLOW)) {
      needsScan = true
      return
    }
    guard let parent = watches[event.wd] else { return }
    if has(Int(IN_DELETE_SELF), Int(IN_MOVE_SELF), Int(IN_UNMOUNT)) {
      needsScan = true
      return
    }
    if has(Int(IN_IGNORED)) || name.isEmpty { return }
    let path = ManifestFiles.join(parent, name)
    if has(Int(IN_ISDIR)) {
      // Only the first level is followed; its permissions may have changed too.
      if parent == directory, ManifestFiles.isDirectoryOfManifests(name) { needsScan = true }
      return
    }
    guard ManifestFiles.isManifest(name) else { return }
    let isComplete = has(Int(IN_CLOSE_WRITE), Int(IN_MOVED_TO), Int(IN_ATTRIB)) || (has(Int(IN_CREATE)) && isLink(path))
    pending[path] = (pending[path] ?? false) || isComplete
  }

  /// A link is complete as soon as it exists: nobody will close it after writing.
  private func isLink(_ path: String) -> Bool {
    let file = clinux_file_status(path, 0)
    return file.kind == Int32(CLINUX_LINK.rawValue) || file.links > 1
  }
}
