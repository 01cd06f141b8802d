import MeshAPI
import MeshCore
import MeshPolicy
import SwiftProtobuf
import Testing

@Suite("Wire form of backend policies") struct BackendPolicyConversionTests {
  private static let key = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)

  /// No field has its default, so a field that the wire forgets shows.
  private static var full: BackendPolicy {
    var outliers = OutlierPolicy()
    outliers.isEnabled = false
    outliers.consecutiveFailures = 7
    outliers.consecutiveGatewayFailures = 8
    outliers.countsLocalFailuresApart = true
    outliers.consecutiveLocalFailures = 9
    outliers.consecutiveConnectFailures = 10
    outliers.interval = .seconds(11)
    outliers.successRate?.minimumHosts = 12
    outliers.successRate?.minimumRequests = 13
    outliers.successRate?.deviationsThousandths = 14
    outliers.successRate?.minimumFailurePercent = 15
    outliers.latency = OutlierPolicy.Latency()
    outliers.latency?.minimumHosts = 16
    outliers.latency?.minimumRequests = 17
    outliers.latency?.factorPercent = 180
    outliers.latency?.floor = .milliseconds(19)
    outliers.baseEjection = .seconds(20)
    outliers.maximumEjection = .seconds(21)
    outliers.ejectionJitterPercent = 22
    outliers.maximumEjectedPercent = 23
    var check = HealthCheckPolicy(
      probe: .http(.init(path: "/a?b", method: .head, host: "c.d", expectedStatuses: [200...299, 418...418])))
    check.interval = .milliseconds(28)
    check.jitterPercent = 29
    check.timeout = .milliseconds(30)
    check.unhealthyThreshold = 31
    check.healthyThreshold = 32
    return BackendPolicy(
      balancing: BalancingPolicy(
        algorithm: .maglev,
        hashSource: .cookie(AffinityCookie(name: "id", lifetime: .milliseconds(1_500), path: "/a b")),
        slowStart: SlowStart(window: .seconds(30), aggression: 1.5, minimumPercent: 5), panicPercent: 24,
        locality: LocalityPolicy(
          overprovisioningPercent: 190,
          failover: [.init(from: .zone("a"), to: ["b", "c"]), .init(from: .any, to: ["d"])],
          distribution: [.init(from: .any, to: [.init(zone: "a", percent: 60), .init(zone: "b", percent: 40)])],
          activeRequestsPerEndpoint: 33),
        subset: SubsetPolicy(header: "x-version", label: "version", defaultValue: "v1", fallback: .default)),
      outliers: outliers, limits: BackendLimits(connections: 25, pendingRequests: 26, activeRequests: 27),
      retryBudget: RetryBudget.Settings(percent: 28, minimumPerSecond: 29), connectTimeout: .milliseconds(33),
      healthCheck: check)
  }

  private static var many: [BackendPolicy] {
    let sources: [HashSource] = [
      .header("x-user"), .query("User"), .sourceAddress, .cookie(AffinityCookie(name: "a", path: "")),
    ]
    var off = OutlierPolicy()
    off.consecutiveFailures = 0
    off.consecutiveConnectFailures = 0
    off.successRate = nil
    off.maximumEjectedPercent = 0
    return [BackendPolicy(), full, BackendPolicy(outliers: off)]
      + sources.map { BackendPolicy(balancing: BalancingPolicy(algorithm: .ringHash, hashSource: $0)) }
      + BalancingPolicy.Algorithm.allCases.map {
        BackendPolicy(balancing: BalancingPolicy(algorithm: $0, panicPercent: 0))
      }
      + SubsetPolicy.Fallback.allCases.map {
        BackendPolicy(balancing: .init(subset: SubsetPolicy(header: "a", label: "b/c", fallback: $0)))
      }
      + [
        BackendPolicy(balancing: BalancingPolicy(locality: LocalityPolicy())),
        BackendPolicy(limits: BackendLimits(pendingRequests: 1)),
        BackendPolicy(retryBudget: RetryBudget.Settings(percent: 0, minimumPerSecond: 0)),
      ]
      + ([.tcp, .grpc(service: ""), .grpc(service: "a.B"), .http(.init())] as [HealthCheckPolicy.Probe]).map {
        BackendPolicy(healthCheck: HealthCheckPolicy(probe: $0))
      }
  }

  private static func resource(_ policy: BackendPolicy) -> MeshResource {
    let endpoints = ([1, 5] as [UInt32]).map { weight in
      Endpoint(
        address: SocketAddress(ipv4: 0x0A00_0001, port: 80), workload: "", identity: nil, meshPort: 0, weight: weight)
    }
    return .endpoints(EndpointSet(key: key, endpoints: endpoints, policy: policy))
  }

  @Test("every policy comes back equal from the wire", arguments: many)
  func roundTrip(_ policy: BackendPolicy) throws {
    let resource = Self.resource(policy)
    let bytes: [UInt8] = try Apus_V1_Resource(resource).serializedBytes()
    #expect(try MeshResource(Apus_V1_Resource(serializedBytes: bytes)) == resource)
  }

  @Test("the default policy and the default weight take no bytes")
  func defaults() {
    let message = Apus_V1_Resource(Self.resource(BackendPolicy()))
    #expect(!message.endpoints.hasPolicy)
    #expect(message.endpoints.endpoints.map(\.weight) == [0, 5])
  }

  @Test("what a policy cannot mean rejects the endpoints, with the name of the field")
  func rejections() {
    let changes: [(String, (inout Apus_V1_BackendPolicy) -> Void)] = [
      ("balancing.algorithm", { $0.balancing.algorithm = .UNRECOGNIZED(99) }),
      ("balancing.panic_percent", { $0.balancing.panicPercent = 101 }),
      ("balancing.hash_source", { $0.balancing.hashSource.kind = nil }),
      ("balancing.hash_source.header", { $0.balancing.hashSource.header = "X-User" }),
      ("balancing.hash_source.header.name", { $0.balancing.hashSource.header = "a b" }),
      ("balancing.hash_source.query", { $0.balancing.hashSource.query = "" }),
      ("balancing.hash_source.cookie.name", { $0.balancing.hashSource.cookie.name = "a=b" }),
      ("balancing.hash_source.cookie.path", { $0.balancing.hashSource.cookie.path = "/; Domain=x" }),
      ("balancing.hash_source.cookie.path", { $0.balancing.hashSource.cookie.path = "/\r\nx: y" }),
      ("balancing.hash_source.cookie.lifetime_ms", { $0.balancing.hashSource.cookie.lifetimeMs = -1 }),
      ("balancing.slow_start.window_ms", { $0.balancing.slowStart.windowMs = 0 }),
      ("balancing.slow_start.aggression", { $0.balancing.slowStart.aggression = .nan }),
      ("balancing.slow_start.aggression", { $0.balancing.slowStart.aggression = 0 }),
      ("balancing.slow_start.minimum_percent", { $0.balancing.slowStart.minimumPercent = 101 }),
      ("balancing.locality.overprovisioning_percent", { $0.balancing.locality.overprovisioningPercent = 99 }),
      ("balancing.locality.failover[0].to", { $0.balancing.locality.failover[0].to = [""] }),
      ("balancing.locality.distribution[0].to", { $0.balancing.locality.distribution[0].to[0].percent = 61 }),
      ("balancing.locality.distribution[0].to", { $0.balancing.locality.distribution[0].to[1].zone = "a" }),
      ("balancing.locality.distribution[0].to.zone", { $0.balancing.locality.distribution[0].to[1].zone = "" }),
      ("balancing.subset.header", { $0.balancing.subset.header = "X-Version" }),
      ("balancing.subset.label", { $0.balancing.subset.label = "" }),
      ("balancing.subset.fallback", { $0.balancing.subset.fallback = .UNRECOGNIZED(9) }),
      ("outliers.interval_ms", { $0.outliers.intervalMs = 0 }),
      ("outliers.base_ejection_ms", { $0.outliers.baseEjectionMs = 0 }),
      ("outliers.maximum_ejection_ms", { $0.outliers.maximumEjectionMs = .max }),
      ("outliers.ejection_jitter_percent", { $0.outliers.ejectionJitterPercent = 101 }),
      ("outliers.maximum_ejected_percent", { $0.outliers.maximumEjectedPercent = 101 }),
      ("outliers.success_rate.minimum_failure_percent", { $0.outliers.successRate.minimumFailurePercent = 101 }),
      ("outliers.latency.factor_percent", { $0.outliers.latency.factorPercent = 100 }),
      ("health_check.probe", { $0.healthCheck.probe = nil }),
      ("health_check.http.path", { $0.healthCheck.http.path = "health" }),
      ("health_check.http.path", { $0.healthCheck.http.path = "/a b" }),
      ("health_check.http.host", { $0.healthCheck.http.host = "a\r\nx: y" }),
      ("health_check.http.expected[0]", { $0.healthCheck.http.expected[0].first = 99 }),
      ("health_check.http.expected[1]", { $0.healthCheck.http.expected[1].last = 417 }),
      ("health_check.interval_ms", { $0.healthCheck.intervalMs = 9 }),
      ("health_check.timeout_ms", { $0.healthCheck.timeoutMs = 0 }),
      ("health_check.jitter_percent", { $0.healthCheck.jitterPercent = 101 }),
      ("retry_budget.percent", { $0.retryBudget.percent = 101 }),
    ]
    for (field, change) in changes {
      var message = Apus_V1_Resource(Self.resource(Self.full))
      change(&message.endpoints.policy)
      do throws(ConversionError) {
        _ = try MeshResource(message)
        Issue.record("\(field) was accepted")
      } catch {
        #expect(error.field == "endpoints.policy.\(field)")
      }
    }
  }
}
