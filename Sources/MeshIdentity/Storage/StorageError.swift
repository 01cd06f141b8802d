import Glibc

/// A failed access to the state directory: what was tried on which path, why it failed and what to do about it.
/// Its text is one line, made for the operator.
package struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  package var operation: String
  package var path: String
  package var code: Int32
  /// Whether the file still has the content it had before.
  package var kept: Bool

  package init(operation: String, path: String, code: Int32, kept: Bool = true) {
    self.operation = operation
    self.path = path
    self.code = code
    self.kept = kept
  }

  package var description: String {
    let state = kept && operation == "write" ? "; the earlier content is untouched" : ""
    return "cannot \(operation) \(path): \(String(cString: strerror(code)))\(state)\(advice)"
  }

  private var advice: String {
    switch code {
    case ENOSPC, EDQUOT: ": free some space on that file system, then try again"
    case EACCES, EPERM: ": check its owner and permissions, or choose another directory with --state-dir"
    case EROFS: ": the file system is read-only; choose another directory with --state-dir"
    case ENOTDIR, EEXIST: ": something that is no directory is in the way"
    default: ""
    }
  }
}
