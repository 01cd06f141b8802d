import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Health checks and rate limits of policies") struct PolicyCheckAndRateTests: PolicySuite {
  @Test("a health check has its defaults, or every value that is written")
  func healthChecks() throws {
    #expect(try settings("healthCheck: {tcp: {}}") == [.healthCheck(HealthCheckPolicy(probe: .tcp))])
    #expect(try settings("healthCheck: {http: {}}") == [.healthCheck(HealthCheckPolicy(probe: .http(.init())))])
    #expect(
      try settings("healthCheck: {grpc: {service: a.B}}") == [
        .healthCheck(HealthCheckPolicy(probe: .grpc(service: "a.B")))
      ])
    #expect(try settings("healthCheck: {enabled: false}") == [.healthCheck(nil)])
    var full = HealthCheckPolicy(
      probe: .http(.init(path: "/a?b=c", method: .head, host: "x.y:80", expectedStatuses: [204...204, 200...399])))
    full.interval = .milliseconds(1_500)
    full.timeout = .milliseconds(250)
    full.jitterPercent = 0
    full.unhealthyThreshold = 1
    full.healthyThreshold = 4
    let found = try settings(
      "healthCheck: {http: {path: \"/a?b=c\", method: HEAD, host: \"x.y:80\", expectedStatuses: [204, 200-399]}, "
        + "interval: 1s500ms, timeout: 250ms, jitterPercent: 0, unhealthyThreshold: 1, healthyThreshold: 4}")
    #expect(found == [.healthCheck(full)])
    #expect(found.map(\.text) == ["HEAD /a?b=c every 1s500ms, timeout 250ms"])
  }

  @Test(
    "mistakes in health checks",
    arguments: [
      .block(
        "healthCheck", "must have exactly one probe; write one of http, grpc and tcp", "healthCheck: §{interval: 1s}"),
      .block(
        "healthCheck", "must have exactly one probe; write one of http, grpc and tcp",
        "healthCheck: §{tcp: {}, grpc: {}}"),
      .block(
        "healthCheck.enabled", "is false, and a probe is described; remove one of the two",
        "healthCheck: {enabled: §false, tcp: {}}"),
      .block(
        "healthCheck.interval", "is shorter than 100ms, which would be load, not a check; write 100ms or more",
        "healthCheck: {tcp: {}, interval: §50ms}"),
      .block(
        "healthCheck.timeout", "must not be 0s; write how long an answer may take",
        "healthCheck: {tcp: {}, timeout: §0s}"),
      .block(
        "healthCheck.http.path", "\"health\" is not the path of a request; begin it with /, without spaces",
        "healthCheck: {http: {path: §health}}"),
      .block(
        "healthCheck.http.expectedStatuses[1]",
        "\"299-200\" is no range of statuses; write such as 200-299, within 100 and 599",
        "healthCheck: {http: {expectedStatuses: [200, §299-200]}}"),
      .block(
        "healthCheck.http.expectedStatuses[0]", "must be a whole number from 100 to 599, not 99",
        "healthCheck: {http: {expectedStatuses: [§99]}}"),
      .block(
        "healthCheck.unhealthyThreshold", "must be a whole number from 1 to 1000, not 0",
        "healthCheck: {tcp: {}, unhealthyThreshold: §0}"),
      .ofRoute("healthCheck", "healthCheck: §{tcp: {}}"),
    ] as [PolicyMistake])
  func healthCheckMistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("rate limits, each with its key")
  func rateLimits() throws {
    let found = try settings(
      "rateLimits: [{requests: 10, period: 1s}, {requests: 5, period: 1m, burst: 7, caller: true}, "
        + "{requests: 1, period: 500ms, header: X-Tenant}]")
    #expect(
      found == [
        .rateLimits([
          RateLimit(10, per: .seconds(1)), RateLimit(5, per: .seconds(60), burst: 7, key: .caller),
          RateLimit(1, per: .milliseconds(500), key: .header("x-tenant")),
        ])
      ])
    #expect(
      found.map(\.text) == [
        "10 per 1s, burst 10; 5 per 1m, burst 7 for each caller; 1 per 500ms, burst 1 for each x-tenant"
      ])
    #expect(try settings("rateLimits: []") == [.rateLimits([])])
  }

  @Test(
    "mistakes in rate limits",
    arguments: [
      .block(
        "rateLimits[0].requests", "must be a whole number from 1 to 1000000, not 0",
        "rateLimits: [{requests: §0, period: 1s}]"),
      .block(
        "rateLimits[0].period", "must not be 0s; write a time, such as 1s", "rateLimits: [{requests: 1, period: §0s}]"),
      .block(
        "rateLimits[0].period", "is required; write the time, such as 1s", "rateLimits: [§{requests: 1}]"),
      .block(
        "rateLimits[0].caller", "stands beside a header: a limit has one kind of buckets; write two limits",
        "rateLimits: [{requests: 1, period: 1s, caller: §true, header: a}]"),
      PolicyMistake(
        "rateLimits[0].caller",
        "is of no use for a route: its limits are kept by the callers' own proxies, each with buckets of its own; "
          + "remove it, or write the limit in a policy whose target is the Service",
        "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]\n"
          + "  rateLimits: [{requests: 1, period: 1s, caller: §true}]"),
    ] as [PolicyMistake])
  func rateLimitMistakes(_ mistake: PolicyMistake) { check(mistake) }
}
