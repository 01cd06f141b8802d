import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compilation of routes")
struct RouteCompilerTests {
  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
  }

  private func rules(_ manifests: String) -> [RouteRule] {
    compile(manifests).services[MeshFixture.port("orders")]?.rules ?? []
  }

  private func http(_ rule: String) -> RouteRule? { rules(MeshFixture.route("r", rules: "[{\(rule)}]")).first }

  private func grpc(_ rules: String) -> [RouteRule] {
    self.rules(MeshFixture.route("g", kind: "GRPCRoute", rules: rules))
  }

  private let backend = "backendRefs: [{name: orders-v1, port: 80}]"
  private let v1 = MeshFixture.port("orders-v1")
  private let v2 = MeshFixture.port("orders-v2")

  // MARK: - Rules

  @Test("query matches, timeouts and retries reach the rule")
  func parts() {
    let rule = http(
      "\(backend), matches: [{queryParams: [{name: a, value: b}]}], timeouts: {request: 10s, backendRequest: 2s}, "
        + "retry: {attempts: 3, codes: [503]}")
    #expect(
      rule?.matches == [RouteMatch(path: .prefix("/"), queryParameters: [QueryMatch(name: "a", value: .exact("b"))])])
    #expect(rule?.timeouts == RouteTimeouts(request: .seconds(10), backendRequest: .seconds(2)))
    #expect(rule?.retry == RetryPolicy(attempts: 3, statusCodes: [503]))
  }

  @Test("a redirect needs no backend and is no failure")
  func redirect() {
    let rule = http("filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]")
    #expect(rule?.backends == [])
    #expect(rule?.failureStatus == nil)
    #expect(rule?.filters == [.redirect(RequestRedirect(scheme: "https"))])
  }

  @Test("a replaced prefix loses its trailing slash as the match does")
  func prefix() {
    let rule = http(
      "\(backend), matches: [{path: {value: /foo/}}], filters: [{type: URLRewrite, urlRewrite: "
        + "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /bar}}}]")
    #expect(rule?.matches.map(\.path) == [.prefix("/foo")])
    #expect(rule?.filters == [.rewrite(URLRewrite(path: .prefix(matched: "/foo", replacement: "/bar")))])
  }

  @Test("filters of a backend stay with it, and mirrors that lead nowhere are left out")
  func mirrors() {
    func mirror(_ name: String) -> String {
      "{type: RequestMirror, requestMirror: {backendRef: {name: \(name), port: 80}, percent: 5}}"
    }
    let rule = http(
      "backendRefs: [{name: orders-v1, port: 80, filters: [\(mirror("orders"))]}], "
        + "filters: [\(mirror("orders-v2")), \(mirror("none"))]")
    #expect(rule?.filters == [.mirror(RequestMirror(backend: v2, numerator: 5, denominator: 100))])
    #expect(
      rule?.backends.first?.filters
        == [.mirror(RequestMirror(backend: MeshFixture.port("orders"), numerator: 5, denominator: 100))])
    #expect(rule?.failureStatus == nil)
  }

  @Test("a share of another kind, or of a port that carries TCP, answers 500")
  func unservable() throws {
    let mesh = compile(
      MeshFixture.service("db", selector: "{app: db}", ports: "[{name: tcp, port: 5432}]")
        + MeshFixture.route(
          "r",
          rules: "[{backendRefs: [{name: orders-v1, port: 80}, {name: db, port: 5432}, {kind: Bucket, name: b}]}]"))
    let service = try #require(mesh.services[MeshFixture.port("orders")])
    #expect(service.rules.first?.backends.map(\.failureStatus) == [nil, 500, 500])
    #expect(service.rules.first?.failureStatus == nil)
    // One part that a proxy cannot read would cost the service all of its rules.
    #expect(try MeshResource(Apus_V1_Resource(.service(service))) == .service(service))
  }

  // MARK: - GRPCRoute

  @Test(
    "a method becomes a path",
    arguments: [
      ("{service: shop.v1.Orders, method: Create}", .exact("/shop.v1.Orders/Create")),
      ("{service: shop.v1.Orders}", .prefix("/shop.v1.Orders")),
      ("{method: Create}", .regularExpression("/[^/]+/Create")),
      ("{type: RegularExpression, service: \"shop[.].*\"}", .regularExpression("/(?:shop[.].*)/[^/]+")),
      ("{type: RegularExpression, method: \"^Get|List$\"}", .regularExpression("/[^/]+/(?:Get|List)")),
      ("{type: RegularExpression, service: 'a\\$', method: b}", .regularExpression("/(?:a\\$)/(?:b)")),
    ] as [(String, PathMatch)])
  func method(match: String, path: PathMatch) {
    #expect(grpc("[{matches: [{method: \(match)}], \(backend)}]").first?.matches.map(\.path) == [path])
  }

  @Test("the patterns that methods become can be matched")
  func methodPatterns() throws {
    let paths = grpc(
      "[{matches: [{method: {method: Create}}, {method: {type: RegularExpression, service: \"^(a|b)$\"}}], \(backend)}]"
    ).flatMap { $0.matches.map(\.path) }
    var patterns: [LinearRegex] = []
    for case .regularExpression(let pattern)? in paths { patterns.append(try LinearRegex(pattern)) }
    func matches(_ path: String) -> [Bool] { patterns.map { $0.matches(path) } }
    #expect(matches("/shop.v1.Orders/Create") == [true, false])
    #expect(matches("/b/List") == [false, true])
    #expect(matches("/b/Create/x") == [false, false])
  }

  @Test("a backend that speaks HTTP/1 is told, one that speaks gRPC is not")
  func protocolOfBackends() {
    let grpc = MeshFixture.service("orders-v3", selector: "{app: orders}", ports: "[{name: grpc, port: 80}]")
    let route = MeshFixture.route(
      "g", kind: "GRPCRoute", rules: "[{backendRefs: [{name: orders-v1, port: 80}, {name: orders-v3, port: 80}]}]")
    #expect(
      compile(grpc + route).warnings.map(\.description) == [
        "mesh.yaml:22:1: GRPCRoute shop/g: spec.rules[0].backendRefs[0]: warning: port 80 of shop/orders-v1 speaks "
          + "HTTP/1, which carries no gRPC; write appProtocol: grpc on the Service's port"
      ])
  }

  @Test("the longest service goes first, then the longest method, then the most headers; expressions come after names")
  func grpcPrecedence() {
    let header = "headers: [{name: a, value: b}]"
    let rules = """
      [{name: all, \(backend)},
       {name: header, matches: [{\(header)}], \(backend)},
       {name: regex, matches: [{method: {type: RegularExpression, service: "shop.v1.Orders.*"}}], \(backend)},
       {name: method, matches: [{method: {method: Create}}], \(backend)},
       {name: service, matches: [{method: {service: shop.v1.Orders}}], \(backend)},
       {name: both, matches: [{method: {service: shop.v1.Orders, method: Get}}], \(backend)},
       {name: long, matches: [{method: {service: shop.v1.Orders, method: Create}}], \(backend)},
       {name: more, matches: [{method: {service: shop.v1.Orders, method: Create}, \(header)}], \(backend)}]
      """
    #expect(
      grpc(rules).map(\.name)
        == ["more", "long", "both", "service", "method", "regex", "header", "all"].map { "grpcroute/shop/g#\($0)" })
  }

  // MARK: - Whose requests

  @Test("GRPCRoutes go before HTTPRoutes on the ports that both name")
  func kinds() {
    let orders = MeshFixture.service(
      "orders", selector: "{app: orders}", ports: "[{name: a, port: 80}, {name: b, port: 81}]")
    let mesh = MeshCompiler.compile(
      MeshFixture.snapshot(
        orders + MeshFixture.route("h", rules: "[{backendRefs: [{name: orders, port: 80}]}]")
          + MeshFixture.route(
            "g", kind: "GRPCRoute", parents: ["name: orders, sectionName: a"],
            rules: "[{backendRefs: [{name: orders, port: 80}]}]")))
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.name) == ["grpcroute/shop/g#0"])
    #expect(mesh.services[MeshFixture.port("orders", 81)]?.rules.map(\.name) == ["httproute/shop/h#0"])
  }

  private func consumer(_ name: String, _ namespace: String, kind: String = "HTTPRoute") -> String {
    MeshFixture.route(
      name, kind: kind, namespace: namespace, parents: ["name: orders, namespace: shop"],
      rules: "[{backendRefs: [{name: orders-v2, namespace: shop, port: 80}]}]")
  }

  @Test("a consumer route is for clients of its namespace, in the place of the producer's routes")
  func consumers() {
    let producer = MeshFixture.route("p", rules: "[{\(backend)}]")
    let mesh = compile(producer + consumer("c", "web") + consumer("d", "web") + consumer("e", "batch"))
    let port = MeshFixture.port("orders")
    #expect(mesh.services[port]?.rules.map(\.name) == ["httproute/shop/p#0"])
    #expect(
      mesh.consumers.mapValues { $0.rules.map(\.name) } == [
        ConsumerPort(namespace: "web", port: port): ["httproute/web/c#0", "httproute/web/d#0"],
        ConsumerPort(namespace: "batch", port: port): ["httproute/batch/e#0"],
      ])
    #expect(mesh.consumers.values.allSatisfy { $0.rules[0].backends.map(\.backend) == [v2] })
    #expect(mesh.warnings.isEmpty)
  }

  @Test("a consumer's GRPCRoute takes nothing from the producer's HTTPRoute")
  func kindsOfConsumers() {
    let mesh = compile(MeshFixture.route("p", rules: "[{\(backend)}]") + consumer("c", "web", kind: "GRPCRoute"))
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.name) == ["httproute/shop/p#0"])
    #expect(mesh.consumers.values.flatMap { $0.rules.map(\.name) } == ["grpcroute/web/c#0"])
  }

  @Test("the difference follows consumer routes as they come, change and go")
  func consumerDifference() {
    let key = CompiledKey.consumer(ConsumerPort(namespace: "web", port: MeshFixture.port("orders")))
    let (without, with) = (compile(""), compile(consumer("c", "web")))
    let renamed = compile(consumer("d", "web"))
    #expect(CompiledMesh.difference(from: without, to: with) == CompiledDifference(changed: [key], removed: []))
    #expect(CompiledMesh.difference(from: with, to: renamed) == CompiledDifference(changed: [key], removed: []))
    #expect(CompiledMesh.difference(from: with, to: without) == CompiledDifference(changed: [], removed: [key]))
  }
}
