import MeshResources

/// What the files of a directory say, with the last good version of each object. A value without I/O: the owner reads
/// files and tells it what it found.
struct ManifestStore {
  private struct FileState {
    var objects: [Located<Resource>] = []
    var problems: [ManifestProblem] = []
    var rejected: [Located<Resource>] = []
    /// Objects that the file's present text does not define rightly; an earlier version is in force.
    var stale: Set<ResourceKey> = []
  }

  private var files: [String: FileState] = [:]
  /// Set while the directory itself cannot be read.
  private var directoryProblem: ManifestProblem?

  /// What `update()` told last, and has been patched since where one file can be told from all others.
  private var set = ManifestSet()
  /// Objects that are not in `set` as they were told last; nil: the files have to be put together anew.
  private var changed: Set<ResourceKey>?
  /// Objects of which several files speak: what one of them says depends on the others.
  private var contested: Set<ResourceKey> = []

  var paths: Set<String> { Set(files.keys) }

  mutating func setDirectoryProblem(_ problem: ManifestProblem?) {
    if problem != directoryProblem { changed = nil }
    directoryProblem = problem
  }

  mutating func remove(_ path: String) {
    if files.removeValue(forKey: path) != nil { changed = nil }
  }

  /// Takes in a file's new text. Objects with an error keep their earlier version.
  mutating func update(_ path: String, text: String) {
    keepLastGood(path, ManifestParser.parse(file: path, text: text))
  }

  /// The file cannot be read: everything it said before stays.
  mutating func fail(_ path: String, _ message: String, fix: String = "") {
    let problem = ManifestProblem(
      position: ManifestPosition(file: path, line: 1, column: 1), message: message, fix: fix)
    keepLastGood(path, ManifestParser.Result(errors: [problem]))
  }

  private mutating func keepLastGood(_ path: String, _ new: ManifestParser.Result) {
    let old = files[path] ?? FileState()
    let good = Set(new.objects.map(\.value.key))
    let errors = new.errors.filter { $0.severity == .error }
    // An error that names no object may be about any object that the file had.
    let isAnyInDoubt = errors.contains { $0.key == nil }
    let broken = Set(errors.compactMap(\.key))
    let kept = old.objects.filter { object in
      let key = object.value.key
      return !good.contains(key) && (isAnyInDoubt || broken.contains(key))
    }
    let stale = Set(kept.map(\.value.key))
    let marked = new.errors.map { problem in
      var problem = problem
      problem.stale = problem.severity == .error && (problem.key.map(stale.contains) ?? !stale.isEmpty)
      return problem
    }
    let state = FileState(objects: new.objects + kept, problems: marked, rejected: new.rejected, stale: stale)
    files[path] = state
    patch(from: old, to: state)
  }

  // MARK: - Putting together

  /// All files together, and which objects are not as the call before told them; nil: any of them may be. In a large mesh an edit of
  /// one file is far cheaper to take in than all of them.
  mutating func update() -> (set: ManifestSet, changed: Set<ResourceKey>?) {
    defer { changed = [] }
    if let changed { return (set, changed) }
    set = merged()
    contested = []
    var seen: Set<ResourceKey> = []
    for state in files.values {
      for object in state.objects + state.rejected where !seen.insert(object.value.key).inserted {
        contested.insert(object.value.key)
      }
    }
    return (set, nil)
  }

  /// Follows a file's new state in `set`, if nothing but its own objects can be touched by it.
  private mutating func patch(from old: FileState, to new: FileState) {
    guard let changed, old.problems == new.problems, old.rejected == new.rejected,
      let differing = Self.differing(old.objects, new.objects, set), contested.isDisjoint(with: differing.keys)
    else {
      self.changed = nil
      return
    }
    set.objects.merge(differing) { $1 }
    set.fileCount = files.count
    self.changed = changed.union(differing.keys)
  }

  /// The objects of a file that are new or other than before; nil where some are gone or stand elsewhere, too.
  private static func differing(
    _ old: [Located<Resource>], _ new: [Located<Resource>], _ set: ManifestSet
  ) -> [ResourceKey: Located<Resource>]? {
    let before = Dictionary(old.map { ($0.value.key, $0) }, uniquingKeysWith: { $1 })
    var gone = Set(before.keys)
    var differing: [ResourceKey: Located<Resource>] = [:]
    for object in new {
      let key = object.value.key
      if gone.remove(key) == nil, set.objects[key] != nil || set.rejected[key] != nil { return nil }
      if before[key] != object { differing[key] = object }
    }
    return gone.isEmpty ? differing : nil
  }

  /// Of an object in two files, the first path in the alphabet wins.
  func merged() -> ManifestSet {
    var set = ManifestSet()
    set.fileCount = files.count
    if let directoryProblem { set.problems.append(directoryProblem) }
    for (_, state) in files.sorted(by: { $0.key < $1.key }) {
      set.problems += state.problems
      for object in state.objects {
        let key = object.value.key
        guard let first = set.objects[key] else {
          set.objects[key] = object
          continue
        }
        set.problems.append(
          ManifestProblem(
            position: object.position, object: key.description,
            message: "\(key) already stands at \(first.position), and that one is used",
            fix: "remove one of the two", key: key))
      }
    }
    for (_, state) in files.sorted(by: { $0.key < $1.key }) {
      for object in state.rejected where set.objects[object.value.key] == nil {
        set.rejected[object.value.key] = object
      }
    }
    set.problems.sort { ($0.position, $0.field) < ($1.position, $1.field) }
    return set
  }
}
