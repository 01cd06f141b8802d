import MeshResources
import Testing

@Suite("Mistakes in routes")
struct RouteMistakeTests {
  func check(_ mistake: RouteMistake) {
    let result = ManifestParser.parse(file: "f.yaml", text: mistake.text)
    #expect(result.errors.map(\.description) == [mistake.expected])
    #expect(result.objects.isEmpty)
    #expect(result.rejected.map(\.value.key.name) == ["orders"])
  }

  @Test(
    "in parents and rules",
    arguments: [
      RouteMistake(
        "parentRefs", "must not be empty; name the Service whose requests the route takes", spec: "parentRefs: §[]"),
      RouteMistake(
        "parentRefs[0].kind",
        "a parent of kind gateway.networking.k8s.io/Gateway is not supported; write group: \"\" and kind: Service",
        spec: "parentRefs: [§{name: edge}]"),
      RouteMistake(
        "parentRefs[0].group",
        "a parent of kind gateway.networking.k8s.io/Service is not supported; write group: \"\" and kind: Service",
        spec: "parentRefs: [§{kind: Service, name: orders}]"),
      RouteMistake(
        "parentRefs[1]",
        "names the same Service as spec.parentRefs[0]; give each of the two a port or a sectionName of its own, or "
          + "remove one",
        spec: "parentRefs: [{group: \"\", kind: Service, name: a, port: 80}, §{group: \"\", kind: Service, name: a}]"),
      RouteMistake(
        "parentRefs[0].port", "must be a whole number from 1 to 65535, not 0",
        spec: "parentRefs: [{group: \"\", kind: Service, name: a, port: §0}]"),
      RouteMistake(
        "useDefaultGateways", "is not supported yet; remove it and name a Service in parentRefs",
        beside: "§useDefaultGateways: All"),
      RouteMistake(
        "rules", "must not be empty; remove the field, or list a rule", beside: "rules: §[]"),
      RouteMistake(
        "rules", "has 17 entries; at most 16 are allowed", beside: "rules: §[\(list(17) { _ in "{}" })]"),
      RouteMistake(
        "rules", "two rules have the name a; rename one of them",
        beside: "rules: §[{name: a}, {name: a}]"),
      RouteMistake(
        "rules", "the rules have more than 128 matches together; split the route",
        beside: "rules: §[\(list(3) { _ in "{matches: [\(list(43) { _ in "{}" })]}" })]"),
      RouteMistake(
        "rules[0].matches", "has 65 entries; at most 64 are allowed", http: "matches: §[\(list(65) { _ in "{}" })]"),
      RouteMistake(
        "rules[0].backendRefs", "has 17 entries; at most 16 are allowed",
        http: "backendRefs: §[\(list(17) { "{name: a\($0), port: 80}" })]"),
      RouteMistake(
        "rules[0].backendRefs[0].weight", "must be a whole number from 0 to 1000000, not 1000001",
        http: "backendRefs: [{name: a, port: 80, weight: §1000001}]"),
    ])
  func rules(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in sessions",
    arguments: [
      RouteMistake(
        "rules[0].sessionPersistence.type", "\"cookies\" is not a known value; did you mean Cookie?",
        http: "sessionPersistence: {type: §cookies}"),
      RouteMistake(
        "rules[0].sessionPersistence.sessionName",
        "\"a b\" is not the name of a cookie; use letters, digits, \"-\" and \"_\"",
        http: "sessionPersistence: {sessionName: §a b}"),
      RouteMistake(
        "rules[0].sessionPersistence.sessionName", "must be at most 128 bytes long",
        http: "sessionPersistence: {sessionName: §\(String(repeating: "a", count: 129))}"),
      RouteMistake(
        "rules[0].sessionPersistence.sessionName", "the proxy itself writes the header host; remove the entry",
        grpc: "sessionPersistence: {type: Header, sessionName: §Host}"),
      RouteMistake(
        "rules[0].sessionPersistence.cookie.name", "the session has a name already; write one of them",
        http: "sessionPersistence: {sessionName: a, cookie: {name: §b}}"),
      RouteMistake(
        "rules[0].sessionPersistence.cookie.path",
        "\"/a;b\" is not the path of a cookie; begin it with /, without spaces and semicolons",
        http: "sessionPersistence: {cookie: {path: §/a;b}}"),
      RouteMistake(
        "rules[0].sessionPersistence.cookieConfig", "is for sessions of type Cookie; remove it, or write type: Cookie",
        http: "sessionPersistence: {type: Header, cookieConfig: §{lifetimeType: Session}}"),
      RouteMistake(
        "rules[0].sessionPersistence.header", "is for sessions of type Header; remove it, or write type: Header",
        http: "sessionPersistence: {header: §{name: a}}"),
      RouteMistake(
        "rules[0].sessionPersistence.absoluteTimeout",
        "is required: a permanent cookie needs an end; write it, or lifetimeType: Session",
        http: "sessionPersistence: §{cookieConfig: {lifetimeType: Permanent}}"),
      RouteMistake(
        "rules[0].sessionPersistence.idleTimeout", "sessions count whole seconds; write 1s or more",
        http: "sessionPersistence: {idleTimeout: §1500ms}"),
      RouteMistake(
        "rules[0].sessionPersistence.absoluteTimeout", "sessions count whole seconds; write 1s or more",
        http: "sessionPersistence: {absoluteTimeout: §0s}"),
      RouteMistake(
        "rules[0].sessionPersistence.cookieConfig.lifetime",
        "is not a field of this object; known fields: lifetimeType",
        http: "sessionPersistence: {cookieConfig: {§lifetime: Session}}"),
    ])
  func sessions(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in matches",
    arguments: [
      RouteMistake(
        "rules[0].matches[0].path.type",
        "\"Prefix\" is not a known value; use one of Exact, PathPrefix, RegularExpression",
        http: "matches: [{path: {type: §Prefix, value: /}}]"),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].value", "is required", http: "matches: [{queryParams: [§{name: a}]}]"),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].value", "must be 1 to 1024 bytes long",
        http: "matches: [{queryParams: [{name: a, value: §\"\"}]}]"),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].name", "\"a b\" is not the name of a query parameter",
        http: "matches: [{queryParams: [{name: §a b, value: c}]}]"),
      RouteMistake(
        "rules[0].matches[0].queryParams[0].type",
        "\"Regex\" is not a known value; use one of Exact, RegularExpression",
        http: "matches: [{queryParams: [{type: §Regex, name: a, value: c}]}]"),
      RouteMistake(
        "rules[0].matches[0].queryParams", "has 17 entries; at most 16 are allowed",
        http: "matches: [{queryParams: §[\(list(17) { "{name: a\($0), value: b}" })]}]"),
      RouteMistake(
        "rules[0].matches[0].headers", "has 17 entries; at most 16 are allowed",
        http: "matches: [{headers: §[\(list(17) { "{name: a\($0), value: b}" })]}]"),
    ])
  func matches(_ mistake: RouteMistake) { check(mistake) }

  @Test(
    "in timeouts and retries",
    arguments: [
      ("timeouts: {request: §10}", "timeouts.request", "must be a duration, not the number 10; write 10s for seconds"),
      (
        "timeouts: {request: §1.5s}", "timeouts.request",
        "\"1.5s\" is not a duration; write whole numbers with h, m, s or ms, such as 1m30s"
      ),
      (
        "timeouts: {request: §8761h}", "timeouts.request",
        "\"8761h\" is longer than a year; write 8760h at most, or 0s for no limit"
      ),
      (
        "timeouts: {request: 1s, backendRequest: §1001ms}", "timeouts.backendRequest",
        "is longer than request, which no attempt can outlast; make it at most as long"
      ),
      ("retry: {codes: [§200]}", "retry.codes[0]", "must be a whole number from 400 to 599, not 200"),
      ("retry: {attempts: §101}", "retry.attempts", "must be a whole number from 0 to 100, not 101"),
      (
        "retry: {backoff: §0s}", "retry.backoff",
        "repeating without a wait is not supported; write 1ms or more, or remove it for 25ms"
      ),
    ])
  func times(body: String, field: String, message: String) {
    check(RouteMistake("rules[0].\(field)", message, http: body))
  }
}
