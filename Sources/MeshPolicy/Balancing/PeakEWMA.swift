package import MeshCore

/// A latency estimate that jumps to a worse sample at once and forgets it exponentially.
///
/// Between samples the estimate decays towards nothing, so an endpoint that was slow is tried again some time.
package struct PeakEWMA: Sendable {
  /// Latency assumed of an endpoint that has served nothing yet. As in Finagle and Linkerd.
  package static var initialLatency: TimeSpan { .milliseconds(30) }
  /// Time constant of the decay.
  package static var decay: TimeSpan { .seconds(10) }

  private var nanoseconds: Double
  private var updated: Instant

  package init(initial: TimeSpan = initialLatency, now: Instant) {
    nanoseconds = Double(initial.nanoseconds)
    updated = now
  }

  /// The estimate in nanoseconds, projected to `now`.
  @inline(__always)
  package func value(now: Instant, decay: TimeSpan = decay) -> Double {
    // Never quite nothing: otherwise pending requests would stop counting after a long rest.
    max(nanoseconds * Self.weight(now - updated, decay), 1000)
  }

  /// Takes a sample; with `onlyPeaks` it may raise the estimate but not lower it.
  package mutating func observe(_ sample: TimeSpan, now: Instant, decay: TimeSpan = decay, onlyPeaks: Bool) {
    let sample = Double(max(sample.nanoseconds, 0))
    let weight = Self.weight(now - updated, decay)
    let decayed = nanoseconds * weight
    if sample > decayed {
      nanoseconds = sample
    } else if onlyPeaks {
      return
    } else {
      nanoseconds = decayed + sample * (1 - weight)
    }
    updated = max(now, updated)
  }

  /// e^(-elapsed/decay).
  @inline(__always)
  static func weight(_ elapsed: TimeSpan, _ decay: TimeSpan) -> Double {
    exponentialDecay(Double(max(elapsed.nanoseconds, 0)) / Double(decay.nanoseconds))
  }
}
