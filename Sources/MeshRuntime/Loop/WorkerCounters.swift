/// Plain counts of what one loop did since it started. Written by its worker only; read by posting to the inbox.
package struct WorkerCounters: Hashable, Sendable {
  package var turns: UInt64 = 0
  package var waits: UInt64 = 0
  package var events: UInt64 = 0
  package var staleEvents: UInt64 = 0
  package var reads: UInt64 = 0
  package var writes: UInt64 = 0
  package var bytesRead: UInt64 = 0
  package var bytesWritten: UInt64 = 0
  package var accepts: UInt64 = 0
  /// Times a listener rested because the process ran out of file descriptors.
  package var acceptPauses: UInt64 = 0
  package var acceptErrors: UInt64 = 0
  package var connects: UInt64 = 0
  package var closes: UInt64 = 0
  package var timersFired: UInt64 = 0
  package var inboxItems: UInt64 = 0
  package var handshakes: UInt64 = 0
  package var handshakesResumed: UInt64 = 0
  package var handshakeFailures: UInt64 = 0

  package init() {}

  /// All system calls of the data path.
  package var systemCalls: UInt64 { waits + reads + writes + accepts + connects + closes }
}
