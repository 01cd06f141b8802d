import MeshCore
package import MeshResources

/// What gates make of some samples.
package struct RolloutJudgement: Hashable, Sendable, Codable {
  package struct Gate: Hashable, Sendable, Codable {
    /// `success rate`, `p99`.
    package var name: String
    /// `99.21 %`.
    package var value: String
    /// `at least 99.5 %`.
    package var limit: String
    package var passed: Bool

    /// `success rate 99.21 % (at least 99.5 %)`.
    package var text: String { "\(name) \(value) (\(limit))" }
  }

  /// Empty when `missing` says why.
  package var gates: [Gate] = []
  /// What a judgement needs and is not there yet; empty when nothing is missing.
  package var missing = ""
  package var samples: RolloutSamples

  package var passed: Bool { missing.isEmpty && gates.allSatisfy(\.passed) }
  package var failed: Bool { gates.contains { !$0.passed } }

  /// The gates that decided.
  package var text: String {
    (failed ? gates.filter { !$0.passed } : gates).map(\.text).joined(separator: ", ")
  }
}

extension RolloutGates {
  /// Pure. `comparing`: the stable version gets requests, too.
  package func judge(_ samples: RolloutSamples, comparing: Bool) -> RolloutJudgement {
    var judgement = RolloutJudgement(samples: samples)
    let comparing = comparing && compares
    let canary = samples.canary.requests
    let stable = samples.stable.requests
    if canary < Double(minimumRequests) {
      judgement.missing = "\(Int(canary)) of \(minimumRequests) requests to the canary"
    } else if comparing, stable < Double(minimumRequests) {
      judgement.missing = "\(Int(stable)) of \(minimumRequests) requests to the stable version"
    } else {
      judgement.gates = successGates(samples, comparing) + latencyGates(samples, comparing)
    }
    return judgement
  }

  private func successGates(_ samples: RolloutSamples, _ comparing: Bool) -> [RolloutJudgement.Gate] {
    guard let gate = successRate, let rate = samples.canary.successRate else { return [] }
    var gates: [RolloutJudgement.Gate] = []
    if let minimum = gate.minimum {
      let limit = "at least \(RolloutText.percent(Double(minimum) / 100_000))"
      // Of whole numbers, so that 99.5 % of 200 is exactly 199.
      let passed = samples.canary.successes * 100_000 >= Double(minimum) * samples.canary.requests
      gates.append(.init(name: "success rate", value: RolloutText.percent(rate), limit: limit, passed: passed))
    }
    if comparing, let drop = gate.maximumDrop, let stable = samples.stable.successRate {
      let points = RolloutText.percent(Double(drop) / 100_000)
      gates.append(
        .init(
          name: "success rate", value: RolloutText.percent(rate),
          limit: "at most \(points) below \(RolloutText.percent(stable)) of the stable version",
          passed: (stable - rate) * 100_000 <= Double(drop) + 1e-6))
    }
    return gates
  }

  private func latencyGates(_ samples: RolloutSamples, _ comparing: Bool) -> [RolloutJudgement.Gate] {
    guard let gate = latency else { return [] }
    let name = "p\(gate.percentile)"
    let fraction = Double(gate.percentile) / 100
    guard let value = samples.canary.latency.quantile(fraction) else {
      return [.init(name: name, value: "unknown", limit: "answers to measure", passed: false)]
    }
    var gates: [RolloutJudgement.Gate] = []
    let shown = RolloutText.milliseconds(value)
    if let maximum = gate.maximum {
      let limit = maximum.inMilliseconds
      gates.append(
        .init(name: name, value: shown, limit: "at most \(RolloutText.milliseconds(limit))", passed: value <= limit))
    }
    if comparing, let factor = gate.factorPercent, let stable = samples.stable.latency.quantile(fraction) {
      let limit = max(gate.floor.inMilliseconds, stable * Double(factor) / 100)
      gates.append(
        .init(
          name: name, value: shown,
          limit:
            "at most \(RolloutText.milliseconds(limit)), for \(RolloutText.milliseconds(stable)) of the stable version",
          passed: value <= limit))
    }
    return gates
  }
}

/// Numbers as the reasons of rollouts have them.
enum RolloutText {
  /// `99.5 %`: two places at most, rounded down, so that 99.999 % does not read as 100 %.
  static func percent(_ fraction: Double) -> String {
    "\(trimmed(Int((fraction * 10_000 + 1e-6).rounded(.down)), 100)) %"
  }

  /// Tenths below ten, whole above.
  static func milliseconds(_ value: Double) -> String {
    value < 10 ? "\(trimmed(Int((value * 10).rounded()), 10)) ms" : "\(Int(value.rounded())) ms"
  }

  /// `995` of a `100` is `9.95`, `900` is `9`.
  private static func trimmed(_ number: Int, _ unit: Int) -> String {
    var digits = "\(number % unit + unit)".dropFirst()
    while digits.last == "0" { digits.removeLast() }
    return digits.isEmpty ? "\(number / unit)" : "\(number / unit).\(digits)"
  }
}
