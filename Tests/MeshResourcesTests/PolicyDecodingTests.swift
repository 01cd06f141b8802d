import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of policies") struct PolicyDecodingTests {
  private func policy(
    _ blocks: String, targets: String = "{group: \"\", kind: Service, name: orders}", namespace: String = "shop"
  ) throws -> TrafficPolicy {
    let text = """
      apiVersion: mesh.apus.dev/v1alpha1
      kind: TrafficPolicy
      metadata: {name: orders, namespace: \(namespace)}
      spec:
        targetRefs: [\(targets)]
        \(blocks)

      """
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.errors.map(\.description) == [])
    let first = try #require(result.objects.first)
    guard case .trafficPolicy(let policy) = first.value else { throw Missing() }
    return policy
  }

  private struct Missing: Error {}

  private func settings(_ blocks: String) throws -> [PolicySetting] { try policy(blocks).settings }

  @Test("targets of every kind, with their sections")
  func targets() throws {
    let route = "group: gateway.networking.k8s.io, kind:"
    let found = try policy(
      "limits: {connections: 1}",
      targets: "{group: mesh.apus.dev, kind: Mesh, name: default}, {group: \"\", kind: Namespace, name: apus-system}, "
        + "{group: core, kind: Service, name: a}, {group: \"\", kind: Service, name: a, sectionName: http}, "
        + "{group: \"\", kind: Service, name: a, sectionName: \"80\"}", namespace: "apus-system")
    #expect(
      found.targets == [
        PolicyTarget(kind: .mesh, name: "default"), PolicyTarget(kind: .namespace, name: "apus-system"),
        PolicyTarget(kind: .service, name: "a"), PolicyTarget(kind: .service, name: "a", sectionName: "http"),
        PolicyTarget(kind: .service, name: "a", sectionName: "80"),
      ])
    let routes = try policy(
      "timeouts: {request: 1s}",
      targets: "{\(route) HTTPRoute, name: r.x}, {\(route) GRPCRoute, name: g, sectionName: s}")
    #expect(
      routes.targets == [
        PolicyTarget(kind: .httpRoute, name: "r.x"), PolicyTarget(kind: .grpcRoute, name: "g", sectionName: "s"),
      ])
  }

  @Test("algorithms", arguments: ["peakEWMA", "leastRequest", "roundRobin", "random", "ringHash", "maglev"])
  func algorithms(_ word: String) throws {
    let found = try settings("balancer: {algorithm: \(word)}")
    let algorithm = try #require(BalancingPolicy.Algorithm.allCases.first { $0.word == word })
    #expect(found == [.algorithm(algorithm)])
    #expect(found.map(\.text) == [word])
  }

  @Test(
    "keys; names of headers in lower case",
    arguments: [
      ("header: X-User", .header("x-user")), ("query: User", .query("User")), ("sourceAddress: true", .sourceAddress),
      ("cookie: {name: id}", .cookie(AffinityCookie(name: "id"))),
      ("cookie: {name: id, ttl: 0s}", .cookie(AffinityCookie(name: "id"))),
      (
        "cookie: {name: id, ttl: 1m, path: /shop}",
        .cookie(AffinityCookie(name: "id", lifetime: .seconds(60), path: "/shop"))
      ),
    ] as [(String, HashSource)])
  func keys(text: String, source: HashSource) throws {
    #expect(
      try settings("balancer: {algorithm: maglev, hashOn: {\(text)}}") == [.algorithm(.maglev), .hashOn(source)])
    // The algorithm may come from a wider policy.
    #expect(try settings("balancer: {hashOn: {\(text)}}") == [.hashOn(source)])
  }

  @Test("slow start, and none of it")
  func slowStart() throws {
    #expect(
      try settings("balancer: {slowStart: {window: 30s}, panicPercent: 0}") == [
        .slowStart(SlowStart(window: .seconds(30))), .panicPercent(0),
      ])
    #expect(
      try settings("balancer: {slowStart: {window: 1m, aggression: 1.5, minimumPercent: 5}}") == [
        .slowStart(SlowStart(window: .seconds(60), aggression: 1.5, minimumPercent: 5))
      ])
    #expect(try settings("balancer: {algorithm: ringHash, slowStart: {window: 0s}}").last == .slowStart(nil))
  }

  @Test("every field of the ejection of outliers")
  func outliers() throws {
    let found = try settings(
      """
      outliers:
          consecutiveFailures: 1
          consecutiveGatewayFailures: 2
          countLocalFailuresApart: true
          consecutiveLocalFailures: 3
          consecutiveConnectFailures: 0
          interval: 5s
          successRate: {minimumHosts: 4, minimumRequests: 5, deviations: 1.25, minimumFailurePercent: 6}
          latency: {minimumHosts: 7, minimumRequests: 8, factorPercent: 250, floor: 0s}
          baseEjection: 9s
          maximumEjection: 10s
          ejectionJitterPercent: 11
          maximumEjectedPercent: 12
      """)
    #expect(
      found == [
        .outliers(true), .consecutiveFailures(1), .consecutiveGatewayFailures(2), .countLocalFailuresApart(true),
        .consecutiveLocalFailures(3), .consecutiveConnectFailures(0), .interval(.seconds(5)),
        .baseEjection(.seconds(9)), .maximumEjection(.seconds(10)), .ejectionJitterPercent(11),
        .maximumEjectedPercent(12), .successRate(true), .successRateHosts(4), .successRateRequests(5),
        .successRateDeviations(1250), .successRateFailurePercent(6), .latency(true), .latencyHosts(7),
        .latencyRequests(8), .latencyFactorPercent(250), .latencyFloor(.zero),
      ])
  }

  @Test("a block of outliers switches on what it speaks of, unless it says otherwise")
  func switches() throws {
    #expect(try settings("outliers: {enabled: false}") == [.outliers(false)])
    #expect(try settings("outliers: {enabled: true}") == [.outliers(true)])
    #expect(try settings("outliers: {latency: {enabled: true}}") == [.outliers(true), .latency(true)])
    #expect(try settings("outliers: {successRate: {enabled: false}}") == [.outliers(true), .successRate(false)])
  }

  @Test("limits, retries and timeouts")
  func requests() throws {
    #expect(
      try settings("limits: {connections: 1, pendingRequests: 2, activeRequests: 1000000}") == [
        .connections(1), .pendingRequests(2), .activeRequests(1_000_000),
      ])
    #expect(
      try settings(
        "retries: {attempts: 0, conditions: [429, gatewayErrors, 503], backoff: 50ms, "
          + "budget: {percent: 0, minimumPerSecond: 3}}") == [
          .retryAttempts(0), .retryConditions(RetryConditions(statuses: [429, 502, 503, 504])),
          .retryBackoff(.milliseconds(50)),
          .retryBudgetPercent(0), .retryBudgetMinimum(3),
        ])
    #expect(try settings("retries: {conditions: []}") == [.retryConditions(RetryConditions())])
    #expect(
      try settings("retries: {conditions: [serverErrors]}")
        == [.retryConditions(RetryConditions(statuses: Array(500...599)))])
    #expect(
      try settings("retries: {conditions: [retriable4xx, unavailable, cancelled, reset, timeout, connectFailure]}")
        == [
          .retryConditions(
            RetryConditions(
              statuses: [409], grpcStatuses: [.cancelled, .unavailable], failures: [.reset, .timeout, .connectFailure]))
        ])
    #expect(try settings("retries: {maximumRetryAfter: 2s}") == [.maximumRetryAfter(.seconds(2))])
    #expect(
      try settings("timeouts: {request: 1m30s, backendRequest: 0s}") == [
        .requestTimeout(.seconds(90)), .backendRequestTimeout(.zero),
      ])
    #expect(try settings("hedging: {delay: 50ms}") == [.hedging(HedgingPolicy(.fixed(.milliseconds(50))))])
    #expect(try settings("hedging: {delay: 0s}") == [.hedging(nil)])
    #expect(
      try settings("hedging: {percentile: 99.5, allMethods: true}")
        == [.hedging(HedgingPolicy(.quantile(9_950), allMethods: true))])
    #expect(
      try settings("timeouts: {stream: 0s, connect: 250ms, idle: 1m}") == [
        .connectTimeout(.milliseconds(250)), .idleTimeout(.seconds(60)), .streamTimeout(.zero),
      ])
  }

  @Test("values read for people as a manifest has them")
  func texts() throws {
    let found = try settings(
      "balancer: {hashOn: {cookie: {name: id, ttl: 1h}}}\n  retries: {conditions: [serverErrors], backoff: 1500ms}\n"
        + "  timeouts: {request: 0s}\n  outliers: {successRate: {deviations: 1.9}}")
    #expect(
      found.map { "\($0.field.rawValue)=\($0.text)" } == [
        "balancer.hashOn=cookie id, ttl 1h, path /", "outliers.enabled=true", "outliers.successRate.enabled=true",
        "outliers.successRate.deviations=1.9", "retries.conditions=serverErrors", "retries.backoff=1s500ms",
        "timeouts.request=none",
      ])
  }
}
