import MeshCore

/// What one endpoint did within an interval.
struct EndpointSample {
  var requests: UInt32 = 0
  var failures: UInt32 = 0
  /// Requests that were answered, and the sum of their times to the first byte.
  var answers: UInt32 = 0
  var nanoseconds: UInt64 = 0

  var isEmpty: Bool { requests == 0 }

  mutating func note(_ outcome: EndpointOutcome, _ latency: TimeSpan, localCounts: Bool) {
    switch outcome {
    case .cancelled: return
    case .success, .serverError, .gatewayError:
      answers &+= 1
      nanoseconds &+= UInt64(max(latency.nanoseconds, 0))
    case .transportFailure, .connectFailure:
      if !localCounts { return }
    }
    requests &+= 1
    if outcome != .success { failures &+= 1 }
  }

  var successRate: Double { 1 - Double(failures) / Double(max(requests, 1)) }
  var meanNanoseconds: Double { Double(nanoseconds) / Double(max(answers, 1)) }
}

/// Finds those that do much worse than the others. Pure.
enum OutlierStatistics {
  /// Indices of `samples`, the worst first, of those whose share of successes is far below the mean.
  static func bySuccessRate(_ samples: [EndpointSample], _ policy: OutlierPolicy.SuccessRate) -> [Int] {
    let judged = samples.indices.filter { samples[$0].requests >= max(policy.minimumRequests, 1) }
    guard judged.count >= max(Int(policy.minimumHosts), 2) else { return [] }
    let rates = judged.map { samples[$0].successRate }
    let mean = rates.reduce(0, +) / Double(rates.count)
    let variance = rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rates.count)
    let floor = mean - variance.squareRoot() * Double(policy.deviationsThousandths) / 1_000
    let ceiling = 1 - Double(policy.minimumFailurePercent) / 100
    // Without any spread the mean itself is the floor, and nobody is below it.
    return judged.filter { samples[$0].successRate < floor && samples[$0].successRate <= ceiling }
      .sorted { samples[$0].successRate < samples[$1].successRate }
  }

  /// Those whose mean latency is far above the median.
  static func byLatency(_ samples: [EndpointSample], _ policy: OutlierPolicy.Latency) -> [Int] {
    let judged = samples.indices.filter { samples[$0].answers >= max(policy.minimumRequests, 1) }
    guard judged.count >= max(Int(policy.minimumHosts), 2) else { return [] }
    let means = judged.map { samples[$0].meanNanoseconds }.sorted()
    // The lower of two medians: of two endpoints the slower one can be the outlier.
    let median = means[(means.count - 1) / 2]
    let limit = max(median * Double(policy.factorPercent) / 100, Double(policy.floor.nanoseconds))
    return judged.filter { samples[$0].meanNanoseconds > limit }
      .sorted { samples[$0].meanNanoseconds > samples[$1].meanNanoseconds }
  }
}
