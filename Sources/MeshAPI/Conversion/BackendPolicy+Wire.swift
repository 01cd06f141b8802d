import MeshCore
import MeshPolicy
import SwiftProtobuf

extension Apus_V1_BackendPolicy {
  /// Without what has its defaults: most backends have nothing else, and there are many.
  init(_ policy: BackendPolicy) {
    self.init()
    let defaults = BackendPolicy()
    if policy.balancing != defaults.balancing { balancing = Apus_V1_Balancing(policy.balancing) }
    if policy.outliers != defaults.outliers { outliers = Apus_V1_Outliers(policy.outliers) }
    connectTimeoutMs = policy.connectTimeout?.wireMilliseconds ?? 0
    if let check = policy.healthCheck { healthCheck = Apus_V1_HealthCheck(check) }
    if policy.retryBudget != defaults.retryBudget {
      retryBudget.percent = UInt32(clamping: policy.retryBudget.percent)
      retryBudget.minimumPerSecond = UInt32(clamping: policy.retryBudget.minimumPerSecond)
    }
    guard policy.limits != defaults.limits else { return }
    limits.connections = policy.limits.connections ?? 0
    limits.pendingRequests = policy.limits.pendingRequests ?? 0
    limits.activeRequests = policy.limits.activeRequests ?? 0
  }
}

extension Apus_V1_Balancing {
  init(_ policy: BalancingPolicy) {
    self.init()
    algorithm =
      switch policy.algorithm {
      case .peakEWMA: .peakEwma
      case .leastRequest: .leastRequest
      case .roundRobin: .roundRobin
      case .random: .random
      case .ringHash: .ringHash
      case .maglev: .maglev
      }
    if let source = policy.hashSource { hashSource = Apus_V1_HashSource(source) }
    if let start = policy.slowStart {
      slowStart.windowMs = start.window.wireMilliseconds
      slowStart.aggression = start.aggression
      slowStart.minimumPercent = start.minimumPercent
    }
    panicPercent = policy.panicPercent
    if let preference = policy.locality { locality = Apus_V1_LocalityPreference(preference) }
    if let selection = policy.subset { subset = Apus_V1_SubsetSelection(selection) }
  }
}

extension Apus_V1_HashSource {
  init(_ source: HashSource) {
    self.init()
    switch source {
    case .header(let name): header = name
    case .cookie(let affinity):
      cookie.name = affinity.name
      cookie.lifetimeMs = affinity.lifetime?.wireMilliseconds ?? 0
      cookie.path = affinity.path
    case .query(let name): query = name
    case .sourceAddress: sourceAddress = true
    }
  }
}

extension Apus_V1_Outliers {
  init(_ policy: OutlierPolicy) {
    self.init()
    disabled = !policy.isEnabled
    consecutiveFailures = policy.consecutiveFailures
    consecutiveGatewayFailures = policy.consecutiveGatewayFailures
    localFailuresApart = policy.countsLocalFailuresApart
    consecutiveLocalFailures = policy.consecutiveLocalFailures
    consecutiveConnectFailures = policy.consecutiveConnectFailures
    intervalMs = policy.interval.wireMilliseconds
    if let rate = policy.successRate {
      successRate.minimumHosts = rate.minimumHosts
      successRate.minimumRequests = rate.minimumRequests
      successRate.deviationsThousandths = rate.deviationsThousandths
      successRate.minimumFailurePercent = rate.minimumFailurePercent
    }
    if let slow = policy.latency {
      latency.minimumHosts = slow.minimumHosts
      latency.minimumRequests = slow.minimumRequests
      latency.factorPercent = slow.factorPercent
      latency.floorMs = slow.floor.wireMilliseconds
    }
    baseEjectionMs = policy.baseEjection.wireMilliseconds
    maximumEjectionMs = policy.maximumEjection.wireMilliseconds
    ejectionJitterPercent = policy.ejectionJitterPercent
    maximumEjectedPercent = policy.maximumEjectedPercent
  }
}
