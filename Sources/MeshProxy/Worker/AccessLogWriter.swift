import CLinux
import Glibc
import MeshCore
import MeshTelemetry

/// Writes access log lines of one worker to standard output, gathered and at most once a second or per 32 KiB.
///
/// Confined to one worker loop. A reader that does not keep up (a full pipe) costs lines, never a stalled worker: what does
/// not fit is dropped and counted. Limit: `maximumBufferedBytes`.
final class AccessLogWriter {
  static let maximumBufferedBytes = 256 * 1024
  private static let flushThreshold = 32 * 1024

  private let policy: AccessLogPolicy
  private let buffer: ByteQueue
  private let descriptor: Int32
  private(set) var droppedLines: UInt64 = 0

  init(policy: AccessLogPolicy, pool: BlockPool, descriptor: Int32 = STDOUT_FILENO) {
    self.policy = policy
    self.descriptor = descriptor
    buffer = ByteQueue(pool: pool)
  }

  func admits(_ random: inout SeededRandom) -> Bool { policy.admits(&random) }

  func append(_ entry: AccessLogEntry) {
    guard buffer.count < Self.maximumBufferedBytes else {
      droppedLines &+= 1
      return
    }
    AccessLogEncoder.append(entry, to: buffer)
    if buffer.count >= Self.flushThreshold { flush() }
  }

  func flush() {
    while !buffer.isEmpty {
      let bytes = buffer.readable
      // A poll first: standard output may be shared and blocking, and a worker must never wait for it.
      var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      guard poll(&ready, 1, 0) == 1, ready.revents & Int16(POLLOUT) != 0 else { return }
      let written = write(descriptor, bytes.baseAddress, min(bytes.count, 4096))
      guard written > 0 else { return }
      buffer.consume(written)
    }
  }
}
