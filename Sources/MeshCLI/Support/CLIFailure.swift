/// An error a person reads: what failed and where, and the fix.
package struct CLIFailure: Error, Hashable, Sendable, CustomStringConvertible {
  package var message: String
  package var fix: String?
  package var exitCode: Int32

  package init(_ message: String, fix: String? = nil, exitCode: Int32 = 1) {
    self.message = message
    self.fix = fix
    self.exitCode = exitCode
  }

  package var description: String { fix.map { "\(message)\n  fix: \($0)" } ?? message }
}

/// Exit codes of every command; `apus run` adds the program's own.
package enum ExitCodes {
  /// Checks failed, manifests have errors, a demo was not healthy, or the command could not do its work.
  package static let failure: Int32 = 1
  /// Wrong arguments (`EX_USAGE`), as ArgumentParser has it.
  package static let usage: Int32 = 64
  /// The control plane does not answer (`EX_UNAVAILABLE`).
  package static let unreachable: Int32 = 69
  /// The mesh was not ready in time, so the program was never started (`EX_TEMPFAIL`).
  package static let notReady: Int32 = 75

  package static let help = """
    EXIT CODES
      0   done
      1   failed; the message says what and how to fix it
      64  wrong arguments
      69  the control plane does not answer
    """
}
