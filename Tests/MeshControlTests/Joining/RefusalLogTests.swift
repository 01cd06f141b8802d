import Foundation
import Logging
import MeshControl
import MeshCore
import Synchronization
import Testing

@Suite struct RefusalLogTests {
  final class Lines: Sendable {
    let all = Mutex<[Logger.Metadata]>([])
    var count: Int { all.withLock { $0.count } }
  }

  struct Recorder: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.all.withLock { $0.append(event.metadata ?? [:]) } }
  }

  @Test("a flood of refusals is a few lines, and the next one tells how many were left out")
  func flood() {
    let lines = Lines()
    let nanoseconds = Mutex<UInt64>(1_000_000_000)
    let clock = ControlClock(
      wall: { Date(timeIntervalSince1970: 0) }, monotonic: { Instant(nanoseconds: nanoseconds.withLock { $0 }) })
    let log = RefusalLog(log: Logger(label: "test", factory: { _ in Recorder(lines: lines) }), clock: clock)
    for _ in 0..<1_000 { log.warning("refused", metadata: ["peer": "x"]) }
    #expect(lines.count == RefusalLog.burst)
    nanoseconds.withLock { $0 += UInt64(RefusalLog.refill.nanoseconds) }
    for _ in 0..<1_000 { log.warning("refused", metadata: ["peer": "x"]) }
    #expect(lines.count == RefusalLog.burst + 1)
    let last = lines.all.withLock { $0.last }
    #expect(last?["omittedBefore"] == "\(1_000 - RefusalLog.burst)")
    #expect(last?["peer"] == "x")
    // A quiet hour fills it up, and no further.
    nanoseconds.withLock { $0 += 3_600_000_000_000 }
    for _ in 0..<1_000 { log.warning("refused", metadata: [:]) }
    #expect(lines.count == 2 * RefusalLog.burst + 1)
  }
}
