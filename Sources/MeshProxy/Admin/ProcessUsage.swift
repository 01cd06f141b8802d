import Glibc
import MeshTelemetry

extension ProcessMetrics {
  /// Fills in what the operating system accounts to this process (proc(5)).
  mutating func readUsage() {
    var usage = rusage()
    if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
      cpuSeconds = Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime)
    }
    if let fields = FileText.read("/proc/self/statm")?.split(separator: " "), fields.count > 1,
      let pages = UInt64(fields[1])
    {
      residentBytes = pages * UInt64(getpagesize())
    }
    openDescriptors = Self.countDescriptors()
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  private static func countDescriptors() -> UInt64 {
    guard let directory = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(directory) }
    var count: UInt64 = 0
    while readdir(directory) != nil { count += 1 }
    // Without ".", ".." and the directory itself.
    return count > 3 ? count - 3 : 0
  }
}

/// Small files as text.
enum FileText {
  /// The file's first megabyte, or nil when it cannot be read. Never waits: a pipe in the file's place has nothing to say.
  static func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 * 1024)
    while bytes.count < 1 << 20 {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count <= 0 { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
