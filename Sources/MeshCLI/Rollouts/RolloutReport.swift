package import MeshAPI

/// `apus rollout`: rollouts as JSON and for the text. Times are Unix milliseconds; rates are shares of one.
package struct RolloutReport: Encodable, Sendable {
  package struct Item: Encodable, Sendable {
    package var name: String
    package var namespace: String
    package var source: String
    package var targets: [String]
    package var rules: [String]
    package var phase: String
    package var reason: String
    package var message: String
    package var changedMs: Int64
    package var stable: Version
    package var canary: Version
    package var revision: String?
    package var steps: [Step]
    /// From 1.
    package var step: Int
    package var stepStartedMs: Int64
    package var nowMs: Int64
    /// Of the latencies.
    package var percentile: UInt32
    /// That a judgement needs; absent without gates.
    package var minimumRequests: UInt32?
    package var gates: [Gate]
    package var missing: String?
    package var events: [Event]
  }

  package struct Version: Encodable, Sendable {
    package var service: String
    package var weight: UInt32
    package var endpoints: UInt32
    /// What the last judgement was made of.
    package var judged: Measure?
    /// Since then.
    package var since: Measure
  }

  package struct Measure: Hashable, Encodable, Sendable {
    package var requests: Double
    package var successRate: Double?
    package var latencyMs: Double?
  }

  package struct Step: Encodable, Sendable {
    package var weight: UInt32
    /// Absent: until somebody resumes.
    package var pauseMs: Int64?
  }

  package struct Gate: Encodable, Sendable {
    package var name: String
    package var value: String
    package var limit: String
    package var passed: Bool
  }

  package struct Event: Hashable, Encodable, Sendable {
    package var atMs: Int64
    package var reason: String
    package var message: String

    /// `2026-11-22T16:07:32Z  StepBegan  ...`.
    package var text: String { "\(Format.utc(seconds: atMs / 1000))  \(reason): \(message)" }
  }

  package var items: [Item]

  package init(_ response: Apus_V1_RolloutsResponse) {
    items = response.rollouts.map { Item($0, now: response.nowMs) }
  }

  package func encode(to encoder: any Encoder) throws { try items.encode(to: encoder) }

  package func find(_ text: String, namespace: String?) throws(CLIFailure) -> Item {
    let found = items.filter { item in
      (item.name == text || item.fullName == text) && (namespace == nil || item.namespace == namespace)
    }
    if let item = found.first, found.count == 1 { return item }
    if found.isEmpty { throw CLIFailure("there is no rollout \(text)", fix: "list them: apus rollout list") }
    throw CLIFailure(
      "several namespaces have a rollout \(text)",
      fix: "pass -n with one of \(found.map(\.namespace).joined(separator: ", "))")
  }
}

extension RolloutReport.Item {
  fileprivate init(_ status: Apus_V1_RolloutStatus, now: Int64) {
    self.init(
      name: status.name, namespace: status.namespace, source: "\(status.file):\(status.line)", targets: status.targets,
      rules: status.rules, phase: status.phase, reason: status.reason, message: status.message,
      changedMs: status.changedMs, stable: .init(status.stable), canary: .init(status.canary),
      revision: status.revision.isEmpty ? nil : status.revision,
      steps: status.steps.map { .init(weight: $0.weight, pauseMs: $0.pauseMs == 0 ? nil : $0.pauseMs) },
      step: Int(status.step) + 1, stepStartedMs: status.stepStartedMs, nowMs: now, percentile: status.percentile,
      minimumRequests: status.minimumRequests == 0 ? nil : status.minimumRequests,
      gates: status.gates.map { .init(name: $0.name, value: $0.value, limit: $0.limit, passed: $0.passed) },
      missing: status.missing.isEmpty ? nil : status.missing,
      events: status.events.map { .init(atMs: $0.atMs, reason: $0.reason, message: $0.message) })
  }

  package var fullName: String { "\(namespace)/\(name)" }
  package var isFinal: Bool { phase == "Promoted" || phase == "RolledBack" }

  /// Of `apus rollout wait`; nil while it is worth waiting.
  package var exitCode: Int32? {
    switch phase {
    case "Promoted": 0
    case "RolledBack": ExitCodes.failure
    // Nothing but a person brings it on.
    case "Paused": ["GateFailed", "TooFewRequests", "StableUnavailable"].contains(reason) ? ExitCodes.failure : nil
    default: nil
    }
  }

  /// Of those that the control plane still remembers.
  package func events(after event: RolloutReport.Event?) -> [RolloutReport.Event] {
    guard let event else { return events }
    return events.lastIndex(of: event).map { Array(events[($0 + 1)...]) } ?? events.filter { $0.atMs > event.atMs }
  }
}

extension RolloutReport.Version {
  fileprivate init(_ version: Apus_V1_RolloutVersion) {
    self.init(
      service: version.service, weight: version.weight, endpoints: version.endpoints,
      judged: version.hasJudged ? .init(version.judged) : nil, since: .init(version.since))
  }

  /// The newest that means something.
  package var measure: RolloutReport.Measure { judged ?? since }
}

extension RolloutReport.Measure {
  fileprivate init(_ measure: Apus_V1_RolloutMeasure) {
    self.init(
      requests: measure.requests, successRate: measure.hasSuccessRate ? measure.successRate : nil,
      latencyMs: measure.hasLatencyMs ? measure.latencyMs : nil)
  }
}
