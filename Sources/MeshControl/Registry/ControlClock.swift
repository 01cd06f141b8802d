package import MeshCore

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// The control plane's two clocks, replaceable in tests: wall time for certificates and status, monotonic time for
/// leases and rates.
package struct ControlClock: Sendable {
  package var wall: @Sendable () -> Date
  package var monotonic: @Sendable () -> Instant

  package init(wall: @escaping @Sendable () -> Date, monotonic: @escaping @Sendable () -> Instant) {
    self.wall = wall
    self.monotonic = monotonic
  }

  package static let system: ControlClock = {
    let origin = ContinuousClock.now
    return ControlClock(
      wall: { Date() },
      monotonic: {
        let (seconds, attoseconds) = origin.duration(to: .now).components
        return Instant(nanoseconds: UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000))
      })
  }()

  var milliseconds: Int64 { Int64(wall().timeIntervalSince1970 * 1000) }
}
