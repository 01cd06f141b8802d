import CLinux
import Glibc
import MeshResources

/// Finds and reads manifest files.
enum ManifestFiles {
  /// Whether a file of this name holds manifests: `.yaml`, `.yml` or `.json`, and no file that an editor keeps for
  /// itself.
  static func isManifest(_ name: String) -> Bool {
    guard !name.hasPrefix("."), !name.hasPrefix("#"), !name.hasSuffix("~") else { return false }
    return [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) && name.utf8.count > $0.utf8.count }
  }

  static func isDirectoryOfManifests(_ name: String) -> Bool { !name.hasPrefix(".") }

  /// The names in a directory, ordered; nil when it cannot be read.
  static func names(in directory: String) -> [String]? {
    guard let handle = opendir(directory) else { return nil }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Manifest files of a directory and of its subdirectories, one level down.
  static func scan(_ directory: String) -> (files: [String], subdirectories: [String])? {
    guard let names = names(in: directory) else { return nil }
    var files: [String] = []
    var subdirectories: [String] = []
    for name in names {
      let path = join(directory, name)
      switch kind(of: path) {
      case .file where isManifest(name): files.append(path)
      case .directory where isDirectoryOfManifests(name):
        subdirectories.append(path)
        for inner in self.names(in: path) ?? [] where isManifest(inner) {
          if kind(of: join(path, inner)) == .file { files.append(join(path, inner)) }
        }
      default: continue
      }
    }
    return (files, subdirectories)
  }

  enum Kind { case file, directory, other, missing }

  /// Symbolic links are followed.
  static func kind(of path: String) -> Kind {
    switch clinux_file_kind(UInt32(bitPattern: clinux_file_status(path, 1).kind)) {
    case CLINUX_MISSING: .missing
    case CLINUX_FILE: .file
    case CLINUX_DIRECTORY: .directory
    default: .other
    }
  }

  static func join(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
  }

  /// Reads one file into the store.
  static func read(_ path: String, into store: inout ManifestStore) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { return store.remove(path) }
      return store.fail(
        path, "the file cannot be read: \(String(cString: strerror(errno)))", fix: "check its permissions")
    }
    defer { close(descriptor) }
    // One byte past the limit tells a file that is too large from one that just fits.
    let limit = ManifestParser.maximumFileBytes + 1
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count < limit {
      let count = Glibc.read(descriptor, &chunk, min(chunk.count, limit - bytes.count))
      if count < 0 {
        if errno == EINTR { continue }
        return store.fail(path, "the file cannot be read: \(String(cString: strerror(errno)))")
      }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    guard bytes.count < limit else {
      return store.fail(
        path, "the file is larger than \(ManifestParser.maximumFileBytes / 1024 / 1024) MiB", fix: "split the file")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return store.fail(path, "the file is not UTF-8 text", fix: "save it as UTF-8")
    }
    store.update(path, text: text)
  }
}
