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

  var paths: Set<String> { Set(files.keys) }

  mutating func setDirectoryProblem(_ problem: ManifestProblem?) { directoryProblem = problem }

  mutating func remove(_ path: String) { files[path] = nil }

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
    files[path] = FileState(
      objects: new.objects + kept, problems: marked, rejected: new.rejected, stale: stale)
  }

  /// All files together. Of an object in two files, the first path in the alphabet wins.
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
