package import MeshCore

/// How many requests an application gets at a time, found out by how long it takes to answer.
package struct AdaptiveConcurrency: Hashable, Sendable {
  /// The limit is never below this, and this when the latency of the application alone is measured for the first time. At least 1.
  package var minimum: UInt32
  /// Never above this.
  package var maximum: UInt32
  /// How often the limit is looked at.
  package var interval: TimeSpan
  /// How often the latency without a queue is measured again, 10 % earlier or later so that proxies do not do it at one time.
  package var probeInterval: TimeSpan
  /// How much longer than without a queue answers may take before the limit falls.
  package var tolerancePercent: UInt32

  package init(
    minimum: UInt32 = 3, maximum: UInt32 = 1_000, interval: TimeSpan = .milliseconds(100),
    probeInterval: TimeSpan = .seconds(30), tolerancePercent: UInt32 = 25
  ) {
    self.minimum = minimum
    self.maximum = maximum
    self.interval = interval
    self.probeInterval = probeInterval
    self.tolerancePercent = tolerancePercent
  }
}
