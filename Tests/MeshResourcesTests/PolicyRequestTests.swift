import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("What policies say of requests") struct PolicyRequestTests: PolicySuite {
  @Test("the length of content and how much of it is held, each a field of its own")
  func content() throws {
    let found = try settings("requests: {maximumBodyBytes: 1099511627776, bufferBytes: 4194304}")
    #expect(found == [.maximumBodyBytes(1 << 40), .bodyBufferBytes(4 << 20)])
    #expect(found.map(\.text) == ["1099511627776", "4194304"])
    let none = try settings("requests: {maximumBodyBytes: 0, bufferBytes: 0}")
    #expect(none == [.maximumBodyBytes(0), .bodyBufferBytes(0)])
    #expect(none.map(\.text) == ["none", "none"])
    #expect(none.allSatisfy { !$0.field.isOfBackend })
  }

  @Test(
    "mistakes in the content of requests",
    arguments: [
      .block(
        "requests.maximumBodyBytes", "must be a whole number from 0 to 1099511627776, not -1",
        "requests: {maximumBodyBytes: §-1}"),
      .block(
        "requests.bufferBytes", "must be a whole number from 0 to 4194304, not 4194305",
        "requests: {bufferBytes: §4194305}"),
      .block(
        "requests.bufferByte", "is not a field of this object; did you mean bufferBytes?",
        "requests: {§bufferByte: 1}"),
    ] as [PolicyMistake])
  func contentMistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("adaptive concurrency has its defaults, or every value that is written, or is switched off")
  func concurrency() throws {
    #expect(
      try settings("adaptiveConcurrency: {enabled: true}") == [.adaptiveConcurrency(AdaptiveConcurrency())])
    let found = try settings(
      "adaptiveConcurrency: {minimum: 1, maximum: 20, interval: 50ms, probeInterval: 5s, tolerancePercent: 100}")
    let full = AdaptiveConcurrency(
      minimum: 1, maximum: 20, interval: .milliseconds(50), probeInterval: .seconds(5), tolerancePercent: 100)
    #expect(found == [.adaptiveConcurrency(full)])
    #expect(found.map(\.text) == ["1 to 20 requests, tolerance 100 %"])
    #expect(
      try settings("adaptiveConcurrency: {minimum: 5000}")
        == [.adaptiveConcurrency(AdaptiveConcurrency(minimum: 5000, maximum: 5000))])
    #expect(try settings("adaptiveConcurrency: {enabled: false}") == [.adaptiveConcurrency(nil)])
  }

  @Test(
    "mistakes in adaptive concurrency",
    arguments: [
      .block(
        "adaptiveConcurrency.minimum", "is more than maximum; make it at most as much",
        "adaptiveConcurrency: {minimum: §5, maximum: 4}"),
      .block(
        "adaptiveConcurrency.minimum", "must be a whole number from 1 to 1000000, not 0",
        "adaptiveConcurrency: {minimum: §0}"),
      .block(
        "adaptiveConcurrency.interval", "is shorter than 10ms, too short to judge by; write 10ms or more",
        "adaptiveConcurrency: {interval: §5ms}"),
      .block(
        "adaptiveConcurrency.probeInterval",
        "is shorter than 1s; every measurement refuses a few requests; write 1s or more",
        "adaptiveConcurrency: {probeInterval: §999ms}"),
      .block(
        "adaptiveConcurrency.tolerancePercent", "must be a whole number from 1 to 1000, not 0",
        "adaptiveConcurrency: {tolerancePercent: §0}"),
      .block(
        "adaptiveConcurrency.enabled",
        "is false, so the fields beside it say nothing; remove them, or write true",
        "adaptiveConcurrency: {enabled: §false, minimum: 2}"),
      .ofRoute("adaptiveConcurrency", "adaptiveConcurrency: §{minimum: 2}"),
    ] as [PolicyMistake])
  func concurrencyMistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("compression has its defaults, or every value that is written, or is switched off")
  func compression() throws {
    #expect(try settings("compression: {enabled: true}") == [.compression(CompressionPolicy())])
    let found = try settings("compression: {contentTypes: [Text/Event-Stream, a/*], minimumBytes: 0, level: 9}")
    #expect(
      found == [
        .compression(CompressionPolicy(contentTypes: ["text/event-stream", "a/*"], minimumBytes: 0, level: 9))
      ])
    #expect(found.map(\.text) == ["gzip at level 9 from 0 bytes on of text/event-stream, a/*"])
    #expect(try settings("compression: {enabled: false}") == [.compression(nil)])
  }

  @Test(
    "mistakes in compression",
    arguments: [
      .block(
        "compression.contentTypes[1]", "\"html\" is not a media type; write such as application/json or text/*",
        "compression: {contentTypes: [a/b, §html]}"),
      .block(
        "compression.contentTypes[0]", "\"*/*\" is not a media type; write such as application/json or text/*",
        "compression: {contentTypes: [§\"*/*\"]}"),
      .block(
        "compression.contentTypes",
        "must not be empty; remove it for the usual types, or write enabled: false for none",
        "compression: {contentTypes: §[]}"),
      .block("compression.level", "must be a whole number from 1 to 9, not 0", "compression: {level: §0}"),
      .block(
        "compression.enabled", "is false, so the fields beside it say nothing; remove them, or write true",
        "compression: {enabled: §false, level: 1}"),
      .ofRoute("compression", "compression: §{level: 1}"),
    ] as [PolicyMistake])
  func compressionMistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("sessions have the fields of a rule's, or are switched off")
  func sessions() throws {
    #expect(try settings("sessionPersistence: {}") == [.sessionPersistence(SessionPersistence())])
    let found = try settings(
      "sessionPersistence: {cookie: {name: sid, path: /a, lifetimeType: Permanent}, absoluteTimeout: 1h, idleTimeout: 5m}"
    )
    #expect(
      found == [
        .sessionPersistence(
          SessionPersistence(
            .cookie(path: "/a", isPermanent: true), name: "sid", absoluteTimeout: .seconds(3600),
            idleTimeout: .seconds(300)))
      ])
    #expect(found.map(\.text) == ["permanent cookie sid, path /a, at most 1h, idle at most 5m"])
    let header = try settings("sessionPersistence: {type: Header, sessionName: X-S}")
    #expect(header.map(\.text) == ["header x-s"])
    #expect(header.allSatisfy { !$0.field.isOfBackend })
    let none = try settings("sessionPersistence: {enabled: false}")
    #expect(none == [.sessionPersistence(nil)])
    #expect(none.map(\.text) == ["none"])
  }

  @Test(
    "mistakes in sessions",
    arguments: [
      .block(
        "sessionPersistence.enabled", "is false, so the fields beside it say nothing; remove them, or write true",
        "sessionPersistence: {enabled: §false, sessionName: a}"),
      .block(
        "sessionPersistence.idleTimeout", "sessions count whole seconds; write 1s or more",
        "sessionPersistence: {idleTimeout: §1500ms}"),
      .block(
        "sessionPersistence.sessionNam", "is not a field of this object; did you mean sessionName?",
        "sessionPersistence: {§sessionNam: a}"),
    ] as [PolicyMistake])
  func sessionMistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("overrides are for the callers and of the kinds that a policy names")
  func overrides() throws {
    let found = try settings("overrides: {allow: [retries, timeout], callers: [shop/web, ops/deploy.bot]}")
    #expect(
      found == [.overrides(OverridePolicy(kinds: [.timeout, .retries], callers: ["shop/web", "ops/deploy.bot"]))])
    #expect(found.map(\.text) == ["timeout, retries by shop/web, ops/deploy.bot"])
    #expect(try settings("overrides: {enabled: false}") == [.overrides(nil)])
    #expect(found.allSatisfy { !$0.field.isOfBackend })
  }

  @Test(
    "mistakes in overrides",
    arguments: [
      .block(
        "overrides.allow", "is required; write some of timeout, attemptTimeout and retries",
        "overrides: §{callers: [a/b]}"),
      .block(
        "overrides.callers", "is required; name the service accounts that may, such as shop/web",
        "overrides: §{allow: [timeout]}"),
      .block(
        "overrides.callers[0]", "\"web\" is no service account; write NAMESPACE/NAME, such as shop/web",
        "overrides: {allow: [timeout], callers: [§web]}"),
      .block(
        "overrides.callers", "must not be empty; remove it, or name service accounts",
        "overrides: {allow: [timeout], callers: §[]}"),
      .block(
        "overrides.enabled", "is false, so the fields beside it say nothing; remove them, or write true",
        "overrides: {enabled: §false, allow: [timeout]}"),
    ] as [PolicyMistake])
  func overrideMistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("a global limit names who counts, for what, and what becomes of requests without an answer")
  func globalLimits() throws {
    let service = ServicePort(service: ServiceName(name: "limits", namespace: "shop"), port: 81)
    let found = try settings(
      "globalRateLimit: {service: {name: limits, port: 81}, domain: d, descriptors: [[{key: a, value: b}]]}")
    let minimal = GlobalRateLimit(
      service: service, domain: "d", descriptors: [[.init(key: "a", value: .constant("b"))]])
    #expect(found == [.globalRateLimit(minimal)])
    #expect(found.map(\.text) == ["domain d of limits.shop:81 by a"])
    let sources = ["caller", "remoteAddress", "service", "route", "method", "path"]
      .map { "{key: \($0), source: \($0)}" }.joined(separator: ", ")
    var full = minimal
    full.service.service.namespace = "infra"
    full.descriptors = [
      [.init(key: "t", value: .header("x-tenant"))],
      [
        .init(key: "caller", value: .caller), .init(key: "remoteAddress", value: .remoteAddress),
        .init(key: "service", value: .service), .init(key: "route", value: .route),
        .init(key: "method", value: .method), .init(key: "path", value: .path),
      ],
    ]
    full.hits = 3
    full.timeout = .milliseconds(50)
    full.failure = .local(RateLimit(5, per: .seconds(1)))
    #expect(
      try settings(
        "globalRateLimit: {service: {name: limits, namespace: infra, port: 81}, domain: d, hits: 3, timeout: 50ms, "
          + "onFailure: local, local: {requests: 5, period: 1s}, "
          + "descriptors: [[{key: t, header: X-Tenant}], [\(sources)]]}") == [.globalRateLimit(full)])
    #expect(try settings("globalRateLimit: {enabled: false}") == [.globalRateLimit(nil)])
  }

  @Test(
    "mistakes in global limits",
    arguments: [
      .block(
        "globalRateLimit.local", "is required with onFailure: local; write requests and period",
        "globalRateLimit: §{service: {name: a, port: 1}, domain: d, onFailure: local, descriptors: [[{key: a, value: b}]]}"
      ),
      .block(
        "globalRateLimit.local", "is for onFailure: local; remove one of the two",
        "globalRateLimit: {service: {name: a, port: 1}, domain: d, local: §{requests: 1, period: 1s}, "
          + "descriptors: [[{key: a, value: b}]]}"),
      .block(
        "globalRateLimit.descriptors", "must not be empty; write a list of entries",
        "globalRateLimit: {service: {name: a, port: 1}, domain: d, descriptors: §[]}"),
      .block(
        "globalRateLimit.descriptors[0][0]", "must have exactly one value; write one of value, header and source",
        "globalRateLimit: {service: {name: a, port: 1}, domain: d, descriptors: [[§{key: a}]]}"),
      .block(
        "globalRateLimit.timeout", "must not be 0s; write how long an answer may take",
        "globalRateLimit: {service: {name: a, port: 1}, domain: d, timeout: §0s, descriptors: [[{key: a, value: b}]]}"),
      .block(
        "globalRateLimit.service.port", "is required; write its port",
        "globalRateLimit: {service: §{name: a}, domain: d, descriptors: [[{key: a, value: b}]]}"),
    ] as [PolicyMistake])
  func globalLimitMistakes(_ mistake: PolicyMistake) { check(mistake) }
}
