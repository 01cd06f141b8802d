import CLinux

/// What a crash of the control plane leaves behind: it has the authority's keys in memory.
package enum CoreDumps {
  /// No core file, and nobody but root may look into this process (RLIMIT_CORE, PR_SET_DUMPABLE). False when the system refuses.
  package static func forbid() -> Bool { clinux_forbid_dumps() == 0 }
}
