import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of routes")
struct RouteDecodingTests {
  private func parse(_ kind: String, _ spec: String) -> ManifestParser.Result {
    ManifestParser.parse(
      file: "f.yaml",
      text: """
        apiVersion: gateway.networking.k8s.io/v1
        kind: \(kind)
        metadata: {name: orders, namespace: shop}
        spec:
        \(spec)
        """)
  }

  private let parent = "  parentRefs: [{group: \"\", kind: Service, name: orders}]\n"

  private func rule(_ rule: String) throws -> HTTPRoute.Rule {
    let result = parse("HTTPRoute", parent + "  rules:\n  - \(rule)\n")
    #expect(result.errors.filter { $0.severity == .error } == [])
    guard case .httpRoute(let route)? = result.objects.first?.value else { throw Absent() }
    return try #require(route.rules.first)
  }

  private func grpcRule(_ rule: String) throws -> GRPCRoute.Rule {
    let result = parse("GRPCRoute", parent + "  rules:\n  - \(rule)\n")
    #expect(result.errors == [])
    guard case .grpcRoute(let route)? = result.objects.first?.value else { throw Absent() }
    return try #require(route.rules.first)
  }

  private struct Absent: Error {}

  @Test("a rule that says nothing has the defaults of the API's server")
  func defaults() throws {
    #expect(try rule("{}") == HTTPRoute.Rule(matches: [RouteMatch(path: .prefix("/"))], backends: []))
    #expect(try rule("{matches: [{method: GET}]}").matches == [RouteMatch(path: .prefix("/"), method: "GET")])
    #expect(
      try rule("{backendRefs: [{name: a, port: 80}]}").backends
        == [RouteBackend(RouteBackendRef(namespace: "shop", name: "a", port: 80), weight: 1)])
    #expect(
      try rule("{filters: [{type: RequestRedirect, requestRedirect: {}}]}").filters
        == [.ready(.redirect(RequestRedirect(status: 302)))])
    #expect(try rule("{filters: [{type: CORS, cors: {}}]}").filters == [.ready(.cors(CORSPolicy(maxAge: 5)))])
    let mirror = RouteBackendRef(namespace: "shop", name: "a", port: 80)
    #expect(
      try rule("{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}}}]}").filters
        == [.mirror(DeclaredMirror(backend: mirror, numerator: 100, denominator: 100))])
    #expect(
      try rule("{retry: {}}").retry == RetryPolicy(attempts: 1, statusCodes: [], backoff: .milliseconds(25)))
  }

  @Test("query parameters match by exact or regular value, of one name the first entry")
  func queryParameters() throws {
    let match = try rule(
      "{matches: [{queryParams: [{name: Animal, value: cat}, {name: a, value: \"b|c\", type: RegularExpression}, "
        + "{name: Animal, value: dog}, {name: animal, value: cow}]}]}"
    ).matches[0]
    #expect(
      match.queryParameters == [
        QueryMatch(name: "Animal", value: .exact("cat")), QueryMatch(name: "a", value: .regularExpression("b|c")),
        QueryMatch(name: "animal", value: .exact("cow")),
      ])
  }

  @Test("a second entry of one name in a match has no effect, and a warning tells")
  func repeatedNames() {
    let result = parse(
      "HTTPRoute",
      parent + "  rules: [{matches: [{headers: [{name: a, value: b}, {name: A, value: c}], "
        + "queryParams: [{name: a, value: b}, {name: a, value: c}]}]}]\n")
    #expect(
      result.errors.map(\.message) == [
        "the header a is matched twice; this entry has no effect",
        "the parameter a is matched twice; this entry has no effect",
      ])
    #expect(result.objects.count == 1)
  }

  @Test("a redirect and a rewrite keep every part, and the prefix that they replace")
  func urls() throws {
    let redirect = try rule(
      "{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.example, port: 8443, "
        + "statusCode: 308, path: {type: ReplaceFullPath, replaceFullPath: /b}}}]}")
    #expect(
      redirect.filters == [
        .ready(
          .redirect(
            RequestRedirect(scheme: "https", hostname: "a.example", path: .full("/b"), port: 8443, status: 308)))
      ])
    let rewrite = try rule(
      "{matches: [{path: {value: /foo}}], backendRefs: [{name: a, port: 80}], filters: [{type: URLRewrite, "
        + "urlRewrite: {hostname: a.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: \"\"}}}]}")
    #expect(
      rewrite.filters == [
        .ready(.rewrite(URLRewrite(hostname: "a.example", path: .prefix(matched: "/foo", replacement: ""))))
      ])
  }

  @Test("mirrors may repeat, each with its share")
  func mirrors() throws {
    let filters = try rule(
      "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: 0}}, "
        + "{type: RequestMirror, requestMirror: {backendRef: {name: b, namespace: other, port: 81}, "
        + "fraction: {numerator: 1, denominator: 3}}}]}"
    ).filters
    #expect(
      filters == [
        .mirror(
          DeclaredMirror(
            backend: RouteBackendRef(namespace: "shop", name: "a", port: 80), numerator: 0, denominator: 100)),
        .mirror(
          DeclaredMirror(
            backend: RouteBackendRef(namespace: "other", name: "b", port: 81), numerator: 1, denominator: 3)),
      ])
  }

  @Test("origins may have a wildcard host; every list of CORS is kept")
  func cors() throws {
    let filters = try rule(
      "{filters: [{type: CORS, cors: {allowOrigins: [\"https://*.a.example:8443\", \"http://*\"], "
        + "allowCredentials: true, allowMethods: [\"*\"], allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 60}}]}"
    ).filters
    #expect(
      filters == [
        .ready(
          .cors(
            CORSPolicy(
              allowOrigins: ["https://*.a.example:8443", "http://*"], allowCredentials: true, allowMethods: ["*"],
              allowHeaders: ["x-a"], exposeHeaders: ["x-b"], maxAge: 60)))
      ])
  }

  @Test("filters of a backend belong to it alone")
  func backendFilters() throws {
    let rule = try rule(
      "{backendRefs: [{name: a, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
        + "{add: [{name: X-A, value: b}]}}]}, {name: b, port: 80}]}")
    #expect(rule.filters.isEmpty)
    #expect(
      rule.backends.map(\.filters) == [
        [.ready(.headers(HeaderFilter(direction: .request, add: [HeaderPair(name: "X-A", value: "b")])))], [],
      ])
  }

  @Test("0s and a retry of 0 attempts stay what they are: they switch off what a policy says")
  func times() throws {
    let rule = try rule(
      "{timeouts: {request: 0s, backendRequest: 1m30s}, retry: {attempts: 0, codes: [503, 500, 503], backoff: 5ms}}")
    #expect(rule.timeouts == RouteTimeouts(request: .zero, backendRequest: .seconds(90)))
    #expect(rule.retry == RetryPolicy(attempts: 0, statusCodes: [500, 503], backoff: .milliseconds(5)))
  }

  @Test(
    "durations are those of GEP-2257",
    arguments: [
      ("0s", 0), ("1h", 3_600_000), ("1h1m1s1ms", 3_661_001), ("99999ms", 99_999), ("1s1s", 2_000), ("1ms1m", 60_001),
      ("", nil), ("1", nil), ("s", nil), ("-1s", nil), ("1.5s", nil), ("1 s", nil), ("100000s", nil), ("1d", nil),
      ("1s1s1s1s1s", nil), ("1us", nil),
    ] as [(String, Int64?)])
  func durations(text: String, milliseconds: Int64?) {
    #expect(GatewayDuration.parse(text) == milliseconds.map { TimeSpan.milliseconds($0) })
  }

  @Test("parents of the route's namespace and of others, and those of other controllers beside them")
  func parents() throws {
    let result = parse(
      "HTTPRoute",
      "  parentRefs: [{name: edge}, {group: \"\", kind: Service, name: a, sectionName: http}, "
        + "{group: \"\", kind: Service, name: b, namespace: other, port: 81}, "
        + "{group: mesh.apus.dev, kind: ExternalService, name: a, port: 443}]\n  hostnames: [a.example]\n")
    #expect(
      result.errors.map(\.description) == [
        "f.yaml:5:16: HTTPRoute shop/orders: spec.parentRefs[0].kind: warning: a parent of kind "
          + "gateway.networking.k8s.io/Gateway is left to others; the route does not attach to it",
        "f.yaml:6:14: HTTPRoute shop/orders: spec.hostnames: warning: hostnames have no effect on a route with a "
          + "Service parent; match the Host header",
      ])
    guard case .httpRoute(let route)? = result.objects.first?.value else { throw Absent() }
    #expect(
      route.parents == [
        RouteParent(namespace: "shop", service: "a", sectionName: "http"),
        RouteParent(namespace: "other", service: "b", port: 81),
        RouteParent(.externalService, namespace: "shop", service: "a", port: 443),
      ])
  }

  @Test("a backend of another kind stays in the route, for its share to fail, and a warning tells")
  func otherKinds() throws {
    let result = parse(
      "HTTPRoute", parent + "  rules: [{backendRefs: [{group: x.example, kind: Bucket, name: a}]}]\n")
    #expect(
      result.errors.map(\.message) == ["the kind x.example/Bucket cannot serve; its share is answered 500"])
    guard case .httpRoute(let route)? = result.objects.first?.value else { throw Absent() }
    #expect(
      route.rules[0].backends.map(\.ref)
        == [RouteBackendRef(kind: "x.example/Bucket", namespace: "shop", name: "a", port: 0)])
  }

  @Test("GRPCRoutes match services, methods and headers; a rule without a match takes every call")
  func grpc() throws {
    let rule = try grpcRule(
      "{name: create, matches: [{method: {service: shop.v1.Orders, method: Create}}, {method: {type: RegularExpression, "
        + "service: \"shop[.].*\"}}, {headers: [{name: X-A, value: b}]}], filters: [{type: ResponseHeaderModifier, "
        + "responseHeaderModifier: {remove: [x-b]}}], backendRefs: [{name: a, port: 80, weight: 3}]}")
    #expect(
      rule
        == GRPCRoute.Rule(
          name: "create",
          matches: [
            GRPCRoute.Match(method: .init(service: "shop.v1.Orders", method: "Create")),
            GRPCRoute.Match(method: .init(isRegularExpression: true, service: "shop[.].*")),
            GRPCRoute.Match(headers: [HeaderMatch(name: "x-a", value: .exact("b"))]),
          ],
          filters: [.ready(.headers(HeaderFilter(direction: .response, remove: ["x-b"])))],
          backends: [RouteBackend(RouteBackendRef(namespace: "shop", name: "a", port: 80), weight: 3)]))
    #expect(try grpcRule("{backendRefs: [{name: a, port: 80}]}").matches.isEmpty)
  }

  @Test("a GRPCRoute without rules answers nothing, and a warning tells")
  func grpcWithoutRules() {
    let result = parse("GRPCRoute", parent)
    #expect(
      result.errors.map(\.description) == [
        "f.yaml:5:3: GRPCRoute shop/orders: spec.rules: warning: there are no rules, so every call is answered "
          + "UNIMPLEMENTED; list a rule"
      ])
    #expect(result.objects.count == 1)
  }

  @Test("a ReferenceGrant is read and said to have no effect", arguments: ["v1", "v1beta1"])
  func referenceGrant(version: String) {
    let text = """
      apiVersion: gateway.networking.k8s.io/\(version)
      kind: ReferenceGrant
      metadata: {name: web, namespace: shop}
      spec:
        from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: web}]
        to: [{group: "", kind: Service}]
      """
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(
      result.errors.map(\.description) == [
        "f.yaml:5:3: ReferenceGrant shop/web: spec: warning: has no effect: routes with Service parents may name "
          + "backends of every namespace"
      ])
    #expect(result.objects.map(\.value.key.kind) == ["ReferenceGrant"])
    let broken = ManifestParser.parse(file: "f.yaml", text: text.replacing("kind: HTTPRoute, ", with: ""))
    #expect(broken.errors.map(\.field).contains("spec.from[0].kind"))
    #expect(broken.objects.isEmpty)
  }

  @Test("a TLSRoute has hostnames, which only v1alpha2 may leave out", arguments: ["v1", "v1alpha3", "v1alpha2"])
  func tlsVersions(version: String) {
    func read(_ spec: String) -> ManifestParser.Result {
      ManifestParser.parse(
        file: "f.yaml",
        text: """
          apiVersion: gateway.networking.k8s.io/\(version)
          kind: TLSRoute
          metadata: {name: orders, namespace: shop}
          spec:
          \(parent)  rules: [{name: r, backendRefs: [{name: a, port: 443}]}]
            \(spec)
          """)
    }
    let named = read("hostnames: [a.example, \"*.b.example\", a.example]")
    #expect(named.errors.map(\.message) == ["\"a.example\" is listed twice"])
    guard case .tlsRoute(let route)? = named.objects.first?.value else {
      Issue.record("no route was read")
      return
    }
    #expect(route.hostnames == ["a.example", "*.b.example"])
    #expect(route.rules.map(\.name) == ["r"])
    for spec in ["", "hostnames: []"] {
      #expect(read(spec).errors.isEmpty == (version == "v1alpha2"))
      #expect(read(spec).objects.isEmpty == (version != "v1alpha2"))
    }
  }
}

extension RouteDecodingTests {
  @Test("sessions in both forms of the API")
  func sessions() throws {
    #expect(try rule("{}").session == nil)
    #expect(try rule("{sessionPersistence: {}}").session == SessionPersistence())
    #expect(
      try rule(
        "{sessionPersistence: {sessionName: sid, type: Cookie, absoluteTimeout: 1h, idleTimeout: 90s, "
          + "cookieConfig: {lifetimeType: Permanent}}}"
      ).session
        == SessionPersistence(
          .cookie(path: "/", isPermanent: true), name: "sid", absoluteTimeout: .seconds(3_600),
          idleTimeout: .seconds(90)))
    #expect(
      try rule("{sessionPersistence: {cookie: {name: sid, path: /a, lifetimeType: Session}}}").session
        == SessionPersistence(.cookie(path: "/a", isPermanent: false), name: "sid"))
    #expect(
      try rule("{sessionPersistence: {type: Header, header: {name: X-Session}}}").session
        == SessionPersistence(.header, name: "x-session"))
    #expect(
      try grpcRule("{sessionPersistence: {type: Header, sessionName: X-Session}}").session
        == SessionPersistence(.header, name: "x-session"))
  }

  @Test("sessions that cannot be as written are told")
  func sessionWarnings() {
    func warnings(_ rules: String) -> [String] {
      parse("HTTPRoute", parent + "  rules: \(rules)\n").errors.map { "\($0.field): \($0.message)" }
    }
    let session = "sessionPersistence: {sessionName: a}"
    #expect(
      warnings("[{\(session)}, {\(session)}, {sessionPersistence: {sessionName: b}}]") == [
        "spec.rules: several rules have sessions called a: going to one of them ends the session with the others"
      ])
    #expect(
      warnings("[{sessionPersistence: {absoluteTimeout: 5s, idleTimeout: 5s}}]") == [
        "spec.rules[0].sessionPersistence.idleTimeout: is never reached: the absoluteTimeout is no longer"
      ])
    #expect(
      warnings("[{filters: [{type: RequestRedirect, requestRedirect: {}}], \(session)}]") == [
        "spec.rules[0].sessionPersistence: has no effect beside a RequestRedirect filter"
      ])
  }
}
