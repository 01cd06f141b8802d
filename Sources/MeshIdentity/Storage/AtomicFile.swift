import CLinux
package import Glibc

/// Every write of persisted state goes through here: a reader, and a controller that starts after a crash or a full
/// disk, finds either the old content or the new, never a part.
///
/// The bytes go to a temporary file beside the target, reach the disk (fsync), take the target's name (rename), and the
/// directory entry reaches the disk too. When a step fails the temporary file is removed and the old file stays.
package enum AtomicFile {
  /// The system calls that can fail for want of space, replaceable in tests.
  package struct Calls: Sendable {
    package var write: @Sendable (Int32, UnsafeRawBufferPointer) -> Int
    package var synchronize: @Sendable (Int32) -> Int32
    package var rename: @Sendable (String, String) -> Int32

    package init(
      write: @escaping @Sendable (Int32, UnsafeRawBufferPointer) -> Int = { Glibc.write($0, $1.baseAddress, $1.count) },
      synchronize: @escaping @Sendable (Int32) -> Int32 = { fsync($0) },
      rename: @escaping @Sendable (String, String) -> Int32 = { Glibc.rename($0, $1) }
    ) {
      self.write = write
      self.synchronize = synchronize
      self.rename = rename
    }

    package static let system = Calls()
  }

  package static func write(
    _ content: [UInt8], to path: String, mode: mode_t = 0o600, calls: Calls = .system
  ) throws(StorageError) {
    let temporary = "\(path).tmp-\(getpid())"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw StorageError(operation: "write", path: path, code: errno) }
    var failure = fill(descriptor, content, mode: mode, calls: calls)
    // Network and quota file systems report a lost write as late as here.
    if close(descriptor) != 0, failure == 0 { failure = errno }
    if failure == 0, calls.rename(temporary, path) != 0 { failure = errno }
    guard failure == 0 else {
      unlink(temporary)
      throw StorageError(operation: "write", path: path, code: failure)
    }
    let directory = parent(of: path)
    let code = synchronizeDirectory(directory)
    if code != 0 { throw StorageError(operation: "write", path: path, code: code, kept: false) }
  }

  package static func write(
    _ text: String, to path: String, mode: mode_t = 0o600, calls: Calls = .system
  ) throws(StorageError) {
    try write(Array(text.utf8), to: path, mode: mode, calls: calls)
  }

  /// The content, or nil when there is no such file. At most 16 MiB: state files are small.
  package static func read(_ path: String) throws(StorageError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw StorageError(operation: "read", path: path, code: errno)
    }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw StorageError(operation: "read", path: path, code: errno) }
      if count == 0 { return content }
      content += chunk[..<count]
      if content.count > 16 << 20 { throw StorageError(operation: "read", path: path, code: EFBIG) }
    }
  }

  /// Makes `path` and its missing parents, each for the owner alone.
  package static func makeDirectory(_ path: String) throws(StorageError) {
    if mkdir(path, 0o700) == 0 { return }
    if errno == ENOENT, parent(of: path) != path {
      try makeDirectory(parent(of: path))
      if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    }
    let code = errno
    if code == EEXIST, clinux_file_status(path, 1).kind == Int32(CLINUX_DIRECTORY.rawValue) { return }
    throw StorageError(operation: "make the directory", path: path, code: code)
  }

  package static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  // MARK: - Steps

  /// Zero, or the error number of what failed.
  private static func fill(_ descriptor: Int32, _ content: [UInt8], mode: mode_t, calls: Calls) -> Int32 {
    // The umask may have taken bits from `mode`.
    guard fchmod(descriptor, mode) == 0 else { return errno }
    let failure: Int32 = content.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = calls.write(descriptor, UnsafeRawBufferPointer(rebasing: rest))
        if count < 0 {
          if errno == EINTR { continue }
          return errno
        }
        if count == 0 { return ENOSPC }
        rest = rest.dropFirst(count)
      }
      return 0
    }
    if failure != 0 { return failure }
    return calls.synchronize(descriptor) == 0 ? 0 : errno
  }

  private static func synchronizeDirectory(_ path: String) -> Int32 {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    return fsync(descriptor) == 0 ? 0 : errno
  }
}
