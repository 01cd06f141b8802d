import MeshCore
import MeshPolicy

extension ContentHasher {
  mutating func add(_ policy: BackendPolicy) {
    add(policy.balancing)
    add(policy.outliers)
    for limit in [policy.limits.connections, policy.limits.pendingRequests, policy.limits.activeRequests] {
      add(limit) { $0.add($1) }
    }
    add(policy.retryBudget.percent)
    add(policy.retryBudget.minimumPerSecond)
    add(policy.connectTimeout) { $0.add($1.nanoseconds) }
    add(policy.healthCheck) { $0.add($1) }
  }

  mutating func add(_ policy: HealthCheckPolicy) {
    switch policy.probe {
    case .http(let probe):
      add(0)
      add(probe.path)
      add(probe.method.rawValue)
      add(probe.host) { $0.add($1) }
      add(probe.expectedStatuses) { hasher, range in
        hasher.add(range.lowerBound)
        hasher.add(range.upperBound)
      }
    case .grpc(let service):
      add(1)
      add(service)
    case .tcp: add(2)
    }
    add(policy.interval.nanoseconds)
    add(policy.jitterPercent)
    add(policy.timeout.nanoseconds)
    add(policy.unhealthyThreshold)
    add(policy.healthyThreshold)
  }

  private mutating func add(_ policy: BalancingPolicy) {
    add(policy.algorithm.rawValue)
    add(policy.panicPercent)
    add(policy.hashSource) { $0.add($1) }
    add(policy.slowStart) { hasher, start in
      hasher.add(start.window.nanoseconds)
      hasher.add(start.aggression.bitPattern)
      hasher.add(start.minimumPercent)
    }
    add(policy.locality) { $0.add($1) }
    add(policy.subset) { hasher, subset in
      hasher.add(subset.header)
      hasher.add(subset.label)
      hasher.add(subset.defaultValue) { $0.add($1) }
      hasher.add(subset.fallback.rawValue)
    }
  }

  private mutating func add(_ policy: LocalityPolicy) {
    add(policy.overprovisioningPercent)
    add(policy.activeRequestsPerEndpoint) { $0.add($1) }
    add(policy.failover) { hasher, entry in
      hasher.add(entry.from)
      hasher.add(entry.to) { $0.add($1) }
    }
    add(policy.distribution) { hasher, entry in
      hasher.add(entry.from)
      hasher.add(entry.to) { hasher, share in
        hasher.add(share.zone)
        hasher.add(share.percent)
      }
    }
  }

  private mutating func add(_ selector: LocalityPolicy.ZoneSelector) {
    switch selector {
    case .any: add(0)
    case .zone(let zone):
      add(1)
      add(zone)
    }
  }

  private mutating func add(_ source: HashSource) {
    switch source {
    case .header(let name):
      add(0)
      add(name)
    case .cookie(let cookie):
      add(1)
      add(cookie.name)
      add(cookie.lifetime) { $0.add($1.nanoseconds) }
      add(cookie.path)
    case .query(let name):
      add(2)
      add(name)
    case .sourceAddress: add(3)
    }
  }

  private mutating func add(_ policy: OutlierPolicy) {
    add(policy.isEnabled ? 1 : 0)
    add(policy.consecutiveFailures)
    add(policy.consecutiveGatewayFailures)
    add(policy.countsLocalFailuresApart ? 1 : 0)
    add(policy.consecutiveLocalFailures)
    add(policy.consecutiveConnectFailures)
    add(policy.interval.nanoseconds)
    add(policy.successRate) { hasher, rate in
      hasher.add(rate.minimumHosts)
      hasher.add(rate.minimumRequests)
      hasher.add(rate.deviationsThousandths)
      hasher.add(rate.minimumFailurePercent)
    }
    add(policy.latency) { hasher, latency in
      hasher.add(latency.minimumHosts)
      hasher.add(latency.minimumRequests)
      hasher.add(latency.factorPercent)
      hasher.add(latency.floor.nanoseconds)
    }
    add(policy.baseEjection.nanoseconds)
    add(policy.maximumEjection.nanoseconds)
    add(policy.ejectionJitterPercent)
    add(policy.maximumEjectedPercent)
  }
}
