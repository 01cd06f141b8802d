import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Merging of policies") struct PolicyMergeTests {
  private func policy(_ name: String, created: Int64? = nil, _ settings: PolicySetting...) -> AttachedPolicy {
    AttachedPolicy(
      key: ResourceKey(group: "mesh.apus.dev", kind: "TrafficPolicy", namespace: "shop", name: name),
      position: ManifestPosition(file: "f.yaml", line: 1, column: 1), creationTime: created, settings: settings)
  }

  /// `field=value from name at level`.
  private func lines(_ effective: EffectivePolicy) -> [String] {
    effective.ordered.map {
      "\($0.setting.field.rawValue)=\($0.setting.text) from \($0.source.policy.name) at \($0.source.level.rawValue)"
    }
  }

  @Test("of each field the most specific policy counts, and is named")
  func levels() {
    var effective = EffectivePolicy()
    for (number, level) in PolicyLevel.allCases.enumerated() {
      let settings: [PolicySetting] = [
        .retryAttempts(UInt32(number)), .connections(UInt32(number)), .algorithm(.random), .requestTimeout(.seconds(9)),
        .panicPercent(1),
      ]
      // Each level leaves one field more to the wider ones.
      var policy = policy(level.rawValue)
      policy.settings = Array(settings.prefix(max(1, settings.count - number)))
      effective = PolicyMerge.merge([policy], at: level, over: effective)
    }
    #expect(
      lines(effective) == [
        "balancer.algorithm=random from service at service", "balancer.panicPercent=1 from mesh at mesh",
        "limits.connections=3 from port at port", "retries.attempts=5 from rule at rule",
        "timeouts.request=9s from namespace at namespace",
      ])
  }

  @Test("for the same thing the older counts, then the first by name, whatever the order")
  func ties() {
    let policies = [
      policy("c", .connections(1)), policy("a", .connections(2)), policy("b", created: 5, .connections(3)),
      policy("d", created: 4, .connections(4)), policy("e", created: 4, .connections(5), .pendingRequests(5)),
    ]
    for order in [policies, policies.reversed()] {
      #expect(
        lines(PolicyMerge.merge(order, at: .service)) == [
          "limits.connections=4 from d at service", "limits.pendingRequests=5 from e at service",
        ])
    }
    #expect(
      lines(PolicyMerge.merge(Array(policies.prefix(2)), at: .service)) == ["limits.connections=2 from a at service"])
  }

  @Test("a loser is told by whom, and in which fields")
  func conflicts() {
    let policies = [
      policy("c", .algorithm(.random), .connections(1), .retryAttempts(1)), policy("b", .retryAttempts(2)),
      policy("a", .connections(1), .algorithm(.maglev)), policy("d", .panicPercent(1)),
    ]
    let found = PolicyMerge.conflicts(policies)
    #expect(found.keys.map(\.name) == ["c"])
    #expect(
      found[policies[0].key] == [
        PolicyMerge.Conflict(winner: policies[2].key, fields: [.algorithm, .connections]),
        PolicyMerge.Conflict(winner: policies[1].key, fields: [.retryAttempts]),
      ])
  }

  private func effective(_ settings: PolicySetting...) -> EffectivePolicy {
    var policy = policy("p")
    policy.settings = settings
    return PolicyMerge.merge([policy], at: .mesh)
  }

  @Test("where no policy says anything, backends have their defaults")
  func defaults() {
    #expect(EffectivePolicy().backend == BackendPolicy())
    #expect(EffectivePolicy().retry == nil)
    #expect(EffectivePolicy().timeouts(of: RouteTimeouts()) == RouteTimeouts())
  }

  @Test("every field of a backend reaches it")
  func backend() {
    var outliers = OutlierPolicy()
    outliers.isEnabled = false
    outliers.consecutiveFailures = 1
    outliers.consecutiveGatewayFailures = 2
    outliers.countsLocalFailuresApart = true
    outliers.consecutiveLocalFailures = 3
    outliers.consecutiveConnectFailures = 4
    outliers.interval = .seconds(5)
    outliers.successRate?.minimumHosts = 6
    outliers.successRate?.minimumRequests = 7
    outliers.successRate?.deviationsThousandths = 8
    outliers.successRate?.minimumFailurePercent = 9
    outliers.latency = OutlierPolicy.Latency()
    outliers.latency?.minimumHosts = 10
    outliers.latency?.minimumRequests = 11
    outliers.latency?.factorPercent = 120
    outliers.latency?.floor = .seconds(13)
    outliers.baseEjection = .seconds(14)
    outliers.maximumEjection = .seconds(15)
    outliers.ejectionJitterPercent = 16
    outliers.maximumEjectedPercent = 17
    let start = SlowStart(window: .seconds(18))
    let expected = BackendPolicy(
      balancing: BalancingPolicy(
        algorithm: .maglev, hashSource: .sourceAddress, slowStart: start, panicPercent: 19, locality: LocalityPolicy(),
        subset: SubsetPolicy(header: "a", label: "b")),
      outliers: outliers, limits: BackendLimits(connections: 20, pendingRequests: 21, activeRequests: 22),
      retryBudget: RetryBudget.Settings(percent: 23, minimumPerSecond: 24), connectTimeout: .seconds(25),
      healthCheck: HealthCheckPolicy(probe: .tcp))
    let found = effective(
      .algorithm(.maglev), .hashOn(.sourceAddress), .slowStart(start), .panicPercent(19),
      .locality(LocalityPolicy()), .subset(SubsetPolicy(header: "a", label: "b")), .outliers(false),
      .consecutiveFailures(1), .consecutiveGatewayFailures(2), .countLocalFailuresApart(true),
      .consecutiveLocalFailures(3), .consecutiveConnectFailures(4), .interval(.seconds(5)), .successRate(true),
      .successRateHosts(6), .successRateRequests(7), .successRateDeviations(8), .successRateFailurePercent(9),
      .latency(true), .latencyHosts(10), .latencyRequests(11), .latencyFactorPercent(120), .latencyFloor(.seconds(13)),
      .baseEjection(.seconds(14)), .maximumEjection(.seconds(15)), .ejectionJitterPercent(16),
      .maximumEjectedPercent(17), .connections(20), .pendingRequests(21), .activeRequests(22), .retryBudgetPercent(23),
      .retryBudgetMinimum(24), .connectTimeout(.seconds(25)), .healthCheck(HealthCheckPolicy(probe: .tcp)))
    #expect(found.backend == expected)
    // Those two are for the endpoints' own proxies, and reach their ports.
    let ofPorts: Set<PolicyField> = [.adaptiveConcurrency, .compression]
    #expect(found.entries.count == PolicyField.allCases.count { $0.isOfBackend && !ofPorts.contains($0) })
  }

  @Test("statistics are switched on and off, whatever else is said of them")
  func switches() {
    #expect(effective(.successRate(false), .successRateHosts(3)).backend.outliers.successRate == nil)
    #expect(effective(.latencyHosts(3)).backend.outliers.latency == nil)
    #expect(effective(.latency(true)).backend.outliers.latency == OutlierPolicy.Latency())
  }

  @Test("retries begin where a policy says something of them; no attempts are none")
  func retries() {
    let conditions = RetryConditions(statuses: [503], grpcStatuses: [.internal], failures: .timeout)
    #expect(
      effective(.retryConditions(conditions), .maximumRetryAfter(.seconds(9))).retry
        == RetryPolicy(
          attempts: 1, statusCodes: [503], grpcStatuses: [.internal], failures: .timeout,
          maximumRetryAfter: .seconds(9)))
    #expect(
      effective(.retryAttempts(3), .retryBackoff(.seconds(1))).retry
        == RetryPolicy(attempts: 3, statusCodes: [], backoff: .seconds(1)))
    #expect(effective(.retryAttempts(0), .retryConditions(conditions)).retry == nil)
    #expect(effective(.retryBudgetPercent(1)).retry == nil)
  }

  @Test("hedging is a rule's, and none where the nearest policy says so")
  func hedging() {
    let policy = HedgingPolicy(.fixed(.seconds(1)))
    #expect(effective(.hedging(policy)).hedging == policy)
    #expect(effective(.hedging(nil)).hedging == nil)
    #expect(effective(.hedging(policy)).retry == nil)
  }

  @Test("a rule's own time limits stand, none among them")
  func timeouts() {
    let policy = effective(.requestTimeout(.seconds(5)), .backendRequestTimeout(.zero))
    #expect(policy.timeouts(of: RouteTimeouts()) == RouteTimeouts(request: .seconds(5)))
    #expect(policy.timeouts(of: RouteTimeouts(request: .zero)) == RouteTimeouts())
    #expect(
      policy.timeouts(of: RouteTimeouts(request: .seconds(1), backendRequest: .seconds(1)))
        == RouteTimeouts(request: .seconds(1), backendRequest: .seconds(1)))
  }
}
