package import MeshCore

/// Finds how many requests at a time an application does without a queue of its own (docs/design/0017-requests.md).
///
/// The limit is multiplied by how the latency without a queue compares to that of the last interval (Envoy's gradient controller, after
/// Netflix's), and grows by its square root where nothing speaks against it. The latency without a queue is measured with half of the
/// limit, now and then; the first time, and when the limit has fallen far and answers stay late, with the least limit. Pure: its
/// owner collects latencies and calls `update`.
package struct GradientController: Sendable {
  /// Latencies of an interval that are enough to judge by, and those of a measurement.
  static let enoughSamples = 10
  static let enoughForProbe = 25
  /// Intervals with late answers at a limit near the least, after which the latency to compare with is taken for outdated.
  static let patience = 5

  private enum Phase {
    /// Requests that begin now show the latency without a queue; afterwards `resume` is the limit.
    case probing(resume: Double)
    case steering(until: Instant)
  }

  private let settings: AdaptiveConcurrency
  private var phase: Phase
  private var exact: Double
  private var lateIntervals = 0
  /// What answers take when nothing waits; nil until it was measured.
  package private(set) var unloaded: TimeSpan?

  package init(_ settings: AdaptiveConcurrency) {
    self.settings = settings
    exact = Double(settings.minimum)
    phase = .probing(resume: Double(settings.minimum))
  }

  /// At least 1.
  package var limit: Int {
    switch phase {
    case .steering: Int(exact)
    case .probing(let resume): Int(max(Double(settings.minimum), (resume / 2).rounded(.down)))
    }
  }

  package var isProbing: Bool { if case .probing = phase { true } else { false } }
  /// So many latencies make an interval.
  package var neededSamples: Int { isProbing ? Self.enoughForProbe : Self.enoughSamples }

  /// An interval has ended. `latency` is the median of its answers; `peak` the most requests that were under way at one time.
  /// True: what began before says nothing about the next interval.
  package mutating func update(latency: TimeSpan, peak: Int, now: Instant, _ random: inout SeededRandom) -> Bool {
    switch phase {
    case .probing(let resume):
      let isSettled = unloaded.map { (latency - $0).nanoseconds.magnitude * 4 <= $0.nanoseconds.magnitude } ?? true
      unloaded = latency
      lateIntervals = 0
      exact = resume
      phase = .steering(until: now + (isSettled ? probeWait(&random) : Self.wait(intervals: settings.interval)))
      return true
    case .steering(let end):
      steer(latency, peak)
      guard now >= end || lateIntervals >= Self.patience else { return false }
      phase = .probing(resume: exact)
      return true
    }
  }

  private mutating func steer(_ latency: TimeSpan, _ peak: Int) {
    guard let unloaded else { return }
    let tolerated = Double(unloaded.nanoseconds) * (1 + Double(settings.tolerancePercent) / 100)
    let gradient = min(2, max(0.5, tolerated / Double(max(1, latency.nanoseconds))))
    let next = exact * gradient + exact.squareRoot()
    // A limit that nobody reaches says nothing by growing, and would be far too high when the crowd comes.
    if next < exact || peak * 2 >= Int(exact) {
      exact = min(Double(settings.maximum), max(Double(settings.minimum), next))
    }
    let isLow = exact <= 2 * Double(settings.minimum)
    lateIntervals = isLow && gradient < 1 ? lateIntervals + 1 : 0
  }

  private func probeWait(_ random: inout SeededRandom) -> TimeSpan {
    .nanoseconds(Int64(Double(settings.probeInterval.nanoseconds) * (0.9 + 0.2 * random.unit())))
  }

  /// Half of a limit that was far too high shows a queue, too: what has changed is measured again once the limit has followed.
  private static func wait(intervals interval: TimeSpan) -> TimeSpan { .nanoseconds(interval.nanoseconds * 10) }
}
