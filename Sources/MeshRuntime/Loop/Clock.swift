internal import CLinux
package import MeshCore

/// The monotonic clock. Only this target reads it; a loop reads it once per turn (`Worker.now`).
package enum MonotonicClock {
  package static var now: Instant { Instant(nanoseconds: clinux_monotonic_ns()) }
}

/// The time of day, for certificates, logs and exported metrics. It may jump; never measure with it.
package enum WallClock {
  /// Milliseconds since 1970 (Unix time).
  package static var now: Int64 { clinux_wall_ms() }
}

/// The C allocator of the process.
package enum ProcessMemory {
  /// Gives free pages of the heap back to the system. Takes milliseconds when there are many.
  package static func returnFree() { clinux_return_memory() }

  /// Takes code out of memory. Starting up, configuring and enrolling touch several MiB of it that serving does not need; what is
  /// needed comes back from the page cache within microseconds.
  package static func releaseCode() { clinux_release_code() }
}

/// Facts about the process that belong to the operating system.
package enum ProcessLimits {
  /// Raises the number of files this process may open to the hard limit and returns it, or nil when refused.
  @discardableResult
  package static func raiseOpenFiles() -> Int? {
    let limit = clinux_raise_file_limit()
    return limit < 0 ? nil : limit
  }

  /// Makes room for `count` open files, before threads are started: a table that grows under threads stops a worker for
  /// 5 to 15 ms. It costs 8 bytes of the kernel's memory each. Nothing happens when the limit is lower.
  package static func reserveOpenFiles(_ count: Int) { _ = clinux_reserve_files(Int32(clamping: count)) }
}
