import Logging
import MeshCore
import MeshIdentity

/// Reads and writes `registrations.json`. The file only shortens the gap that a restart of the controller makes, so
/// nothing that goes wrong with it stops a controller or a registration: it is logged, once until it works again.
///
/// Guarded by the registry that owns it.
struct RegistrationFile {
  let path: String
  let calls: AtomicFile.Calls
  let log: Logger
  /// What the file holds, nil for none that can be read.
  private var saved: SavedRegistrations?
  private var isFailing = false

  init(path: String, calls: AtomicFile.Calls, log: Logger) {
    self.path = path
    self.calls = calls
    self.log = log
  }

  mutating func read() -> SavedRegistrations? {
    do {
      guard let content = try AtomicFile.read(path) else { return nil }
      saved = try SavedRegistrations(json: content)
    } catch {
      log.warning(
        "ignoring the registrations of the last controller; workloads appear as they register again",
        metadata: ["path": "\(path)", "error": "\(error)"])
    }
    return saved
  }

  /// Whether the file holds `registrations` now. Unchanged ones are not written, unless the last write failed: then
  /// nobody knows what the disk holds.
  mutating func write(_ registrations: SavedRegistrations) -> Bool {
    let isKnown = saved.map { $0 == registrations } ?? registrations.workloads.isEmpty
    if isKnown, !isFailing { return true }
    do {
      try AtomicFile.write(registrations.json(), to: path, calls: calls)
    } catch {
      if !isFailing {
        log.error(
          "cannot save the registrations; the mesh goes on, and a restarted controller will know them late",
          metadata: ["error": "\(error)"])
      }
      isFailing = true
      return false
    }
    if isFailing { log.info("registrations are saved again", metadata: ["path": "\(path)"]) }
    isFailing = false
    saved = registrations
    return true
  }
}
