internal import CLinux
internal import Glibc

/// A program to start: the file itself (already looked up), its arguments and its whole environment.
package struct ProgramCommand: Sendable {
  package var path: String
  package var arguments: [String]
  package var environment: [String: String]
  /// Where standard output and error go; nil inherits both.
  package var output: Int32?
  /// Reads standard input from `/dev/null`.
  package var withoutInput: Bool

  package init(
    path: String, arguments: [String], environment: [String: String], output: Int32? = nil, withoutInput: Bool = false
  ) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.output = output
    self.withoutInput = withoutInput
  }
}

/// Why a program did not start. The exit codes are those of shells: 127 not found, 126 found but not started.
package struct SpawnFailure: Error, Hashable, Sendable, CustomStringConvertible {
  package var program: String
  package var code: Int32

  package init(program: String, code: Int32) {
    self.program = program
    self.code = code
  }

  package var exitCode: Int32 { code == ENOENT ? 127 : 126 }

  package var description: String {
    let reason = String(cString: strerror(code))
    let hint =
      switch code {
      case ENOENT: "check its spelling and PATH"
      case EACCES: "make it executable: chmod +x \(program)"
      case ENOEXEC: "not a program of this machine, or a script without a #! line"
      default: "check memory and process limits (ulimit -a)"
      }
    return "cannot start \(program): \(reason) (\(hint))"
  }
}

/// Finds programs.
package enum Executables {
  /// Looks `name` up as a shell does: as given when it has a slash, else along `path`.
  package static func find(_ name: String, path: String?) throws(SpawnFailure) -> String {
    if name.contains("/") {
      guard access(name, F_OK) == 0 else { throw SpawnFailure(program: name, code: ENOENT) }
      guard isProgram(name) else { throw SpawnFailure(program: name, code: EACCES) }
      return name
    }
    var foundOtherwise = false
    for directory in (path ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = directory.isEmpty ? "./\(name)" : "\(directory)/\(name)"
      if isProgram(candidate) { return candidate }
      if access(candidate, F_OK) == 0 { foundOtherwise = true }
    }
    throw SpawnFailure(program: name, code: foundOtherwise ? EACCES : ENOENT)
  }

  /// A program of the Apus family: beside the running `apus`, else along PATH.
  package static func companion(_ name: String) throws -> String {
    if let own = ownPath, let slash = own.lastIndex(of: "/") {
      let beside = own[...slash] + name
      if isProgram(String(beside)) { return String(beside) }
    }
    do {
      return try find(name, path: getenv("PATH").map { String(cString: $0) })
    } catch {
      throw CLIFailure(
        "cannot find \(name)", fix: "install it in the directory of apus (\(ownPath ?? "?")) or in a directory of PATH")
    }
  }

  /// The path of the running executable.
  package static var ownPath: String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return -1 }
      return readlink("/proc/self/exe", base, bytes.count)
    }
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  private static func isProgram(_ path: String) -> Bool {
    clinux_file_status(path, 1).kind == Int32(CLINUX_FILE.rawValue) && access(path, X_OK) == 0
  }
}
