import MeshResources
import Testing

@Suite("Mistakes in policies") struct PolicyMistakeTests: PolicySuite {
  @Test(
    "in targets",
    arguments: [
      PolicyMistake(
        "targetRefs",
        "must not be empty; name what the policy is for, such as {group: \"\", kind: Service, name: orders}",
        "targetRefs: §[]\n  limits: {connections: 1}"),
      .target(
        "targetRefs[0].kind",
        "what a policy says of requests has no meaning to the connections of a TCPRoute, and its endpoints belong to a "
          + "Service; name the Service",
        "{group: gateway.networking.k8s.io, kind: §TCPRoute, name: db}"),
      PolicyMistake(
        "targetRefs", "has 17 entries; at most 16 are allowed",
        "targetRefs: §[" + (0..<17).map { "{group: \"\", kind: Service, name: s\($0)}" }.joined(separator: ", ")
          + "]\n  limits: {connections: 1}"),
      .target(
        "targetRefs[1]", "names the same target as spec.targetRefs[0]; remove one of the two",
        "{group: \"\", kind: Service, name: a}, §{group: \"\", kind: Service, name: a}"),
      .target(
        "targetRefs[0].kind",
        "\"Gateway\" is not a known value; use one of Mesh, Namespace, Service, ExternalService, HTTPRoute, GRPCRoute",
        "{group: \"\", kind: §Gateway, name: a}"),
      .target("targetRefs[0].group", "is required; write group: \"\"", "§{kind: Service, name: a}"),
      .target(
        "targetRefs[0].group", "HTTPRoute is not a kind of \"\"; write group: \"gateway.networking.k8s.io\"",
        "{group: §\"\", kind: HTTPRoute, name: a}"),
      .target(
        "targetRefs[0].namespace", "a policy applies to its own namespace; remove the field, or move the policy there",
        "{group: \"\", kind: Service, name: a, namespace: §b}"),
      .target(
        "targetRefs[0].sectionName", "a Namespace has no sections; remove it",
        "{group: \"\", kind: Namespace, name: shop, sectionName: §a}"),
      .target(
        "targetRefs[0].name", "other is not the policy's own namespace; write name: shop",
        "{group: \"\", kind: Namespace, name: §other}"),
      .target(
        "targetRefs[0].kind",
        "a policy for the whole mesh stands in the namespace apus-system; write metadata.namespace: apus-system, "
          + "or kind: Namespace and name: shop",
        "{group: mesh.apus.dev, kind: §Mesh, name: default}"),
      .target(
        "targetRefs[0].name", "there is one mesh, and its name is default; write name: default",
        "{group: mesh.apus.dev, kind: Mesh, name: §m}", namespace: "apus-system"),
      .ofRoute("balancer.algorithm", "balancer: {algorithm: §random}"),
      .ofRoute("outliers.enabled", "outliers: {enabled: §false}"),
      .ofRoute("limits.connections", "limits: {connections: §1}"),
      .ofRoute("timeouts.connect", "timeouts: {connect: §1s}"),
      .ofRoute("retries.budget", "retries: {budget: §{percent: 1}}"),
    ])
  func targets(_ mistake: PolicyMistake) { check(mistake) }

  @Test(
    "in balancers",
    arguments: [
      .block("ballancer", "is not a field of this object; did you mean balancer?", "§ballancer: {}"),
      .block(
        "balancer.algorithm", "\"roundrobin\" is not a known value; did you mean roundRobin?",
        "balancer: {algorithm: §roundrobin}"),
      .block(
        "balancer.panicPercent", "must be a whole number from 0 to 100, not 101", "balancer: {panicPercent: §101}"),
      .block(
        "balancer.hashOn", "must have exactly one source; write one of header, cookie, query and sourceAddress: true",
        "balancer: {hashOn: §{}}"),
      .block(
        "balancer.hashOn", "must have exactly one source; write one of header, cookie, query and sourceAddress: true",
        "balancer: {hashOn: §{header: a, query: b}}"),
      .block(
        "balancer.hashOn", "leastRequest does not go by the requests' keys; write algorithm: ringHash or maglev",
        "balancer: {algorithm: leastRequest, hashOn: §{header: a}}"),
      .block("balancer.hashOn.header", "\"a b\" is not the name of a header", "balancer: {hashOn: {header: §a b}}"),
      .block(
        "balancer.hashOn.query", "\"a=b\" is not the name of a query parameter", "balancer: {hashOn: {query: §a=b}}"),
      .block(
        "balancer.hashOn.sourceAddress", "must be true; remove it, or write true",
        "balancer: {hashOn: {sourceAddress: §false}}"),
      .block("balancer.hashOn.cookie.name", "is required; name the cookie", "balancer: {hashOn: {cookie: §{}}}"),
      .block(
        "balancer.hashOn.cookie.name", "\"a;b\" is not the name of a cookie; use letters, digits, \"-\" and \"_\"",
        "balancer: {hashOn: {cookie: {name: §a;b}}}"),
      .block(
        "balancer.hashOn.cookie.path",
        "\"/a;b\" is not the path of a cookie; begin it with /, without spaces and semicolons",
        "balancer: {hashOn: {cookie: {name: a, path: §/a;b}}}"),
      .block(
        "balancer.hashOn.cookie.ttl",
        "cookies count whole seconds; write 1s or more, or 0s for the client's session",
        "balancer: {hashOn: {cookie: {name: a, ttl: §1500ms}}}"),
      .block(
        "balancer.slowStart.window", "is required; write how long a new endpoint's share grows",
        "balancer: {slowStart: §{aggression: 2}}"),
      .block(
        "balancer.slowStart.window", "0s is no slow start, and the fields beside it say how it goes; remove them",
        "balancer: {slowStart: {window: §0s, minimumPercent: 5}}"),
      .block(
        "balancer.slowStart.aggression", "must be a number from 0.01 to 100.0, not 0",
        "balancer: {slowStart: {window: 1s, aggression: §0}}"),
      .block(
        "balancer.slowStart.minimumPercent", "must be a whole number from 1 to 100, not 0",
        "balancer: {slowStart: {window: 1s, minimumPercent: §0}}"),
      .block(
        "balancer.slowStart",
        "maglev knows none: the shares are in its table; remove it, or choose another algorithm",
        "balancer: {algorithm: maglev, slowStart: §{window: 1s}}"),
    ] as [PolicyMistake])
  func balancers(_ mistake: PolicyMistake) { check(mistake) }

  @Test(
    "in outliers",
    arguments: [
      .block(
        "outliers.enabled", "is false, so the fields beside it say nothing; remove them, or write true",
        "outliers: {enabled: §false, interval: 1s}"),
      .block(
        "outliers.latency.enabled", "is false, so the fields beside it say nothing; remove them, or write true",
        "outliers: {latency: {enabled: §false, floor: 1s}}"),
      .block(
        "outliers.consecutiveFailures", "must be a whole number from 0 to 1000000, not -1",
        "outliers: {consecutiveFailures: §-1}"),
      .block(
        "outliers.countLocalFailuresApart", "must be true or false, not the number 1",
        "outliers: {countLocalFailuresApart: §1}"),
      .block(
        "outliers.interval", "is shorter than 100ms, too short to judge by; write 100ms or more",
        "outliers: {interval: §99ms}"),
      .block(
        "outliers.interval", "must be a duration, not the number 5; write 5s for seconds", "outliers: {interval: §5}"),
      .block(
        "outliers.successRate.deviations", "must be a number, not text; write 1.9 without quotes",
        "outliers: {successRate: {deviations: §\"1.9\"}}"),
      .block(
        "outliers.successRate.minimumHosts", "must be a whole number from 1 to 1000000, not 0",
        "outliers: {successRate: {minimumHosts: §0}}"),
      .block(
        "outliers.successRate.minimumFailurePercent", "must be a whole number from 0 to 100, not 101",
        "outliers: {successRate: {minimumFailurePercent: §101}}"),
      .block(
        "outliers.latency.factorPercent", "must be a whole number from 101 to 100000, not 100",
        "outliers: {latency: {factorPercent: §100}}"),
      .block(
        "outliers.baseEjection", "is longer than maximumEjection; make it at most as long",
        "outliers: {baseEjection: §2s, maximumEjection: 1s}"),
      .block(
        "outliers.baseEjection",
        "0s is no time; write 1ms or more, or outliers: {enabled: false} to eject nobody",
        "outliers: {baseEjection: §0s}"),
      .block(
        "outliers.ejectionJitterPercent", "must be a whole number from 0 to 100, not 101",
        "outliers: {ejectionJitterPercent: §101}"),
      .block(
        "outliers.maximumEjectedPercent", "must be a whole number from 1 to 100, not 0",
        "outliers: {maximumEjectedPercent: §0}"),
    ] as [PolicyMistake])
  func outliers(_ mistake: PolicyMistake) { check(mistake) }

  @Test(
    "in limits, retries and timeouts",
    arguments: [
      .block("limits.connections", "must be a whole number from 1 to 1000000, not 0", "limits: {connections: §0}"),
      .block(
        "limits.pendingRequests", "must be a whole number from 1 to 1000000, not 0", "limits: {pendingRequests: §0}"),
      .block(
        "limits.activeRequests", "must be a whole number from 1 to 1000000, not 1000001",
        "limits: {activeRequests: §1000001}"),
      .block("retries.attempts", "must be a whole number from 0 to 100, not 101", "retries: {attempts: §101}"),
      .block(
        "retries.conditions[0]", "must be a whole number from 400 to 599, not 302", "retries: {conditions: [§302]}"),
      .block(
        "retries.conditions[1]",
        "\"5xx\" is not a known value; use one of serverErrors, gatewayErrors, retriable4xx, "
          + "connectFailure, refusedStream, reset, timeout, cancelled, deadlineExceeded, internal, "
          + "resourceExhausted, unavailable",
        "retries: {conditions: [500, §5xx]}"),
      .block(
        "retries.backoff", "repeating without a wait is not supported; write 1ms or more, or remove it for 25ms",
        "retries: {backoff: §0s}"),
      .block(
        "retries.budget.percent", "must be a whole number from 0 to 100, not 101", "retries: {budget: {percent: §101}}"),
      .block(
        "retries.perTryTimeout", "the time of one attempt is spec.timeouts.backendRequest; write it there",
        "retries: {perTryTimeout: §1s}"),
      .block(
        "timeouts.request", "\"1 s\" is not a duration; write whole numbers with h, m, s or ms, such as 1m30s",
        "timeouts: {request: §1 s}"),
      .block(
        "timeouts.backendRequest", "is longer than request, which no attempt can outlast; make it at most as long",
        "timeouts: {request: 1s, backendRequest: §2s}"),
      .block(
        "timeouts.idle", "streams are looked at once a second; write 1s or more, or 0s for none",
        "timeouts: {idle: §999ms}"),
      .block(
        "hedging", "needs either a delay or a percentile; write delay: 50ms, or percentile: 95",
        "hedging: §{allMethods: true}"),
      .block(
        "hedging.percentile", "must be a number from 50.0 to 99.99, not 100", "hedging: {percentile: §100}"),
      .block(
        "timeouts.connect", "a connect without an end is not supported; write 1ms or more, or remove it for 2s",
        "timeouts: {connect: §0s}"),
    ] as [PolicyMistake])
  func requests(_ mistake: PolicyMistake) { check(mistake) }

  @Test("what changes nothing is told, and stays in force")
  func blank() {
    func warnings(_ block: String) -> [String] {
      let text = PolicyMistake.block("", "", block).text
      let result = ManifestParser.parse(file: "f.yaml", text: text)
      #expect(result.objects.count == 1)
      return result.errors.map(\.description)
    }
    #expect(
      warnings("limits: {}") == [
        "f.yaml:6:11: TrafficPolicy shop/orders: spec.limits: warning: says nothing; remove it, or write a field"
      ])
    #expect(
      warnings("") == [
        "f.yaml:5:15: TrafficPolicy shop/orders: spec.targetRefs: warning: the policy changes nothing; "
          + "write balancer, outliers, limits, requests, retries, hedging, timeouts, healthCheck, adaptiveConcurrency, "
          + "compression, overrides, sessionPersistence, rateLimits, globalRateLimit or rollout"
      ])
  }
}
