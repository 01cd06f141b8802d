import MeshCore
package import MeshResources

/// Where a rollout stands: all that outlives the controller. Times are Unix milliseconds.
///
/// What happens to it is in `RolloutState+Advance` (time and samples) and `RolloutState+Order` (people); both are pure.
package struct RolloutState: Hashable, Sendable, Codable {
  package enum Phase: String, Hashable, Sendable, Codable {
    /// Nothing goes to the canary yet, because something is missing.
    case waiting = "Waiting"
    case progressing = "Progressing"
    /// The weights stay until somebody decides, or what `pause` names is over.
    case paused = "Paused"
    case promoted = "Promoted"
    case rolledBack = "RolledBack"

    package var isFinal: Bool { self == .promoted || self == .rolledBack }
  }

  /// Why the phase is `paused`.
  package enum Pause: String, Hashable, Sendable, Codable {
    case step = "StepPause"
    case byHand = "PausedByHand"
    case gateFailed = "GateFailed"
    case tooFewRequests = "TooFewRequests"
    /// It would roll back, to nothing.
    case stableUnavailable = "StableUnavailable"
  }

  package struct Event: Hashable, Sendable, Codable {
    package var at: Int64
    /// One word, as a condition's reason.
    package var reason: String
    package var message: String
  }

  /// Older events are forgotten.
  package static let maximumEvents = 64

  package var versions: Rollout.Versions
  /// `Rollout.stepsText` of the steps that it follows.
  package var steps: String
  package internal(set) var phase = Phase.waiting
  package internal(set) var pause: Pause?
  /// Percent of the requests that go to the canary.
  package internal(set) var weight: UInt32 = 0
  /// From 0.
  package internal(set) var step = 0
  package internal(set) var stepStarted: Int64
  /// From when on the wait for a judgement counts, where that is later than the end of the step's pause.
  package internal(set) var waitStarted: Int64
  /// Somebody ended the pause of the step.
  package internal(set) var isResumed = false
  /// The last judgement of this step passed.
  package internal(set) var hasPassed = false
  /// Judgements of this step that failed.
  package internal(set) var failures: UInt32 = 0
  /// What made it fail, while it could not act on it.
  package internal(set) var pendingFailure: String?
  package internal(set) var lastJudgement: RolloutJudgement?
  /// Since the last judgement.
  package internal(set) var samples = RolloutSamples()
  package internal(set) var samplesSince: Int64
  /// Of the phase.
  package internal(set) var changed: Int64
  package internal(set) var events: [Event] = []

  package init(_ rollout: Rollout, now: Int64) {
    versions = rollout.versions
    steps = rollout.stepsText
    stepStarted = now
    waitStarted = now
    samplesSince = now
    changed = now
    note("Started", "from \(versions.stable) to \(versions.canary): \(steps)", now: now)
  }

  /// Takes it up after the controller was away: the time of the step has gone on, but nobody counted requests.
  package mutating func takeUp(now: Int64) {
    waitStarted = max(waitStarted, now)
    // A clock that was set back must not make a step last longer.
    stepStarted = min(stepStarted, now)
    samplesSince = min(samplesSince, now)
  }

  mutating func note(_ reason: String, _ message: String, now: Int64) {
    events.append(Event(at: now, reason: reason, message: message))
    if events.count > Self.maximumEvents { events.removeFirst(events.count - Self.maximumEvents) }
  }

  mutating func enter(_ phase: Phase, _ pause: Pause? = nil, now: Int64) {
    if self.phase != phase { changed = now }
    self.phase = phase
    self.pause = pause
  }

  mutating func forgetSamples(now: Int64) {
    samples = RolloutSamples()
    samplesSince = now
  }
}
