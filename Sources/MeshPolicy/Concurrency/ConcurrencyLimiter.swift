package import MeshCore
internal import Synchronization

/// The requests under way at one port of a workload, and how many there may be: of the proxy as a whole, whatever the number of its
/// workers, since the application has one capacity and the kernel gives clients to workers.
///
/// No lock: counts are atomics, and of the workers that find an interval over one becomes its keeper, alone in `controller` until it says
/// when the next one ends.
package final class ConcurrencyLimiter: Sendable {
  /// Of a request that may go on; given back once.
  package struct Permit: Sendable {
    fileprivate let epoch: UInt32
    /// When the application could begin: now, or when the last of the request was here.
    package var start: Instant
  }

  package let settings: AdaptiveConcurrency
  private let active = Atomic<Int>(0)
  private let peak = Atomic<Int>(0)
  private let allowed: Atomic<Int>
  /// Grows when what began before says nothing about what is measured now.
  private let epoch = Atomic<UInt32>(0)
  private let window = LatencyWindow()
  private let needed: Atomic<Int>
  /// Nanoseconds of an `Instant`; `busy` while one worker is at `controller`.
  private let intervalEnd: Atomic<UInt64>
  private static let busy = UInt64.max
  private let unloadedNanoseconds = Atomic<Int64>(0)

  private struct State {
    var controller: GradientController
    var random: SeededRandom

    mutating func update(latency: TimeSpan, peak: Int, now: Instant) -> Bool {
      controller.update(latency: latency, peak: peak, now: now, &random)
    }
  }
  /// `unsafe`: only the worker that has put `busy` into `intervalEnd` touches it.
  private nonisolated(unsafe) var state: State

  package init(_ settings: AdaptiveConcurrency, seed: UInt64, now: Instant) {
    self.settings = settings
    let controller = GradientController(settings)
    allowed = Atomic(controller.limit)
    needed = Atomic(controller.neededSamples)
    intervalEnd = Atomic((now + settings.interval).nanoseconds)
    state = State(controller: controller, random: SeededRandom(seed: seed))
  }

  /// What metrics show.
  package var limit: Int { allowed.load(ordering: .relaxed) }
  package var inFlight: Int { active.load(ordering: .relaxed) }
  package var unloadedLatency: TimeSpan { .nanoseconds(unloadedNanoseconds.load(ordering: .relaxed)) }

  /// Nil: as many as may be are under way.
  package func enter(now: Instant) -> Permit? {
    let count = active.wrappingAdd(1, ordering: .relaxed).newValue
    guard count <= allowed.load(ordering: .relaxed) else {
      active.wrappingSubtract(1, ordering: .relaxed)
      // There is more to do than may be done: as a peak the limit itself.
      notePeak(count - 1)
      return nil
    }
    notePeak(count)
    return Permit(epoch: epoch.load(ordering: .acquiring), start: now)
  }

  private func notePeak(_ count: Int) {
    // Two workers may pass each other: a peak that is low by one judges nothing differently.
    if count > peak.load(ordering: .relaxed) { peak.store(count, ordering: .relaxed) }
  }

  /// How a request ended, as far as it says something about the application's load.
  package enum Outcome: Sendable {
    /// With an answer of its own, however good.
    case answered
    /// With none, so that it would have taken this long at least.
    case unanswered
    /// Says nothing: an error is quick, and no sign of ease.
    case failed
  }

  package func leave(_ permit: Permit, _ outcome: Outcome, now: Instant) {
    active.wrappingSubtract(1, ordering: .relaxed)
    guard permit.epoch == epoch.load(ordering: .relaxed) else { return }
    let latency = now - permit.start
    switch outcome {
    case .answered: break
    case .unanswered:
      let unloaded = unloadedLatency
      if unloaded == .zero || latency <= unloaded { return }
    case .failed: return
    }
    let count = window.record(latency)
    let end = intervalEnd.load(ordering: .relaxed)
    guard now.nanoseconds >= end, count >= needed.load(ordering: .relaxed), end != Self.busy else { return }
    let claim = intervalEnd.compareExchange(expected: end, desired: Self.busy, ordering: .acquiring)
    if claim.exchanged { endInterval(now) }
  }

  private func endInterval(_ now: Instant) {
    let median = window.takeMedian()
    let most = peak.exchange(inFlight, ordering: .relaxed)
    if state.update(latency: median, peak: most, now: now) {
      epoch.wrappingAdd(1, ordering: .releasing)
    }
    allowed.store(state.controller.limit, ordering: .relaxed)
    needed.store(state.controller.neededSamples, ordering: .relaxed)
    unloadedNanoseconds.store(state.controller.unloaded?.nanoseconds ?? 0, ordering: .relaxed)
    intervalEnd.store((now + settings.interval).nanoseconds, ordering: .releasing)
  }
}
