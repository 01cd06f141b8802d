package import MeshCore

/// A latency estimate that jumps to a worse sample at once and forgets it exponentially.
///
/// Between samples the estimate decays towards nothing, so an endpoint that was slow is tried again some time.
package struct PeakEWMA: Sendable {
  private var nanoseconds: Double
  private var updated: Instant

  package init(initial: TimeSpan, now: Instant) {
    nanoseconds = Double(initial.nanoseconds)
    updated = now
  }

  /// The estimate in nanoseconds, projected to `now`.
  @inline(__always)
  package func value(now: Instant, decay: TimeSpan) -> Double {
    // Never quite nothing: otherwise pending requests would stop counting after a long rest.
    max(nanoseconds * Self.weight(now - updated, decay), 1000)
  }

  /// Takes a sample; with `onlyPeaks` it may raise the estimate but not lower it.
  package mutating func observe(_ sample: TimeSpan, now: Instant, decay: TimeSpan, onlyPeaks: Bool) {
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

/// e^-x for x >= 0, with a relative error below 1e-6: 2^-k from the exponent bits times a polynomial for the rest.
@inline(__always)
func exponentialDecay(_ x: Double) -> Double {
  if x > 700 { return 0 }
  let powers = x * 1.4426950408889634
  let whole = powers.rounded(.down)
  let r = (powers - whole) * 0.6931471805599453
  // Taylor series of e^-r for r in 0 ..< ln 2.
  let series =
    1 - r * (1 - r / 2 * (1 - r / 3 * (1 - r / 4 * (1 - r / 5 * (1 - r / 6 * (1 - r / 7 * (1 - r / 8)))))))
  return series * Double(bitPattern: UInt64(1023 - Int(whole)) << 52)
}
