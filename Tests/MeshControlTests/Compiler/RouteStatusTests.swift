import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf
import Testing

@testable import MeshControl

@Suite("Status of routes")
struct RouteStatusTests {
  /// `Accepted=True Accepted: message`, for each condition of each parent of the route `r`.
  private func conditions(_ manifests: String, kind: String = "HTTPRoute") -> [[String]] {
    let mesh = MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
    return lines(mesh.routes, kind)
  }

  private func lines(_ routes: [RouteStatus], _ kind: String = "HTTPRoute") -> [[String]] {
    let route = routes.first { $0.key.name == "r" && $0.key.kind == kind }
    return (route?.parents ?? []).map { parent in
      parent.conditions.map { "\($0.kind.rawValue)=\($0.isTrue ? "True" : "False") \($0.reason): \($0.message)" }
    }
  }

  private func route(_ rule: String, kind: String = "HTTPRoute", parents: [String] = ["name: orders"]) -> String {
    MeshFixture.route("r", kind: kind, parents: parents, rules: "[{\(rule)}]")
  }

  private let backend = "backendRefs: [{name: orders-v1, port: 80}]"
  private let resolved = "ResolvedRefs=True ResolvedRefs: every backend exists"

  @Test("a route that works is accepted by its parent, and its backends resolve")
  func accepted() {
    #expect(
      conditions(route(backend)) == [["Accepted=True Accepted: attached to port 80 of shop/orders", resolved]])
  }

  @Test("a parent that does not exist, or has no such port, is told with what there is")
  func noMatchingParent() {
    let parents = [
      "name: ordres", "name: orders, port: 81", "name: orders-v1, sectionName: grpc", "name: web, namespace: z",
    ]
    #expect(
      conditions(route(backend, parents: parents)).map { $0[0] } == [
        "Accepted=False NoMatchingParent: there is no Service shop/ordres, so the route does not attach to it; "
          + "did you mean orders?",
        "Accepted=False NoMatchingParent: the Service shop/orders has no port 81; its ports: 80 (http)",
        "Accepted=False NoMatchingParent: the Service shop/orders-v1 has no port with the name grpc; its ports: 80 (http)",
        "Accepted=False NoMatchingParent: there is no Service z/web, so the route does not attach to it; "
          + "create it, or correct the name",
      ])
  }

  @Test("a port that carries TCP takes no route; beside another port it is only told")
  func tcp() {
    func told(_ name: String) -> String {
      "port 5432 of shop/\(name) carries TCP, so the route does not apply to it; write appProtocol: http on the "
        + "Service's port"
    }
    let services = ["db", "store"].map { name in
      MeshFixture.service(
        name, selector: "{app: db}", ports: "[{name: tcp, port: 5432}, {name: http, port: 80}]")
    }
    #expect(
      conditions(services.joined() + route(backend, parents: ["name: db, port: 5432", "name: store"])).map { $0[0] }
        == [
          "Accepted=False NoMatchingParent: \(told("db"))",
          "Accepted=True Accepted: attached to port 80 of shop/store; \(told("store"))",
        ])
  }

  @Test(
    "a port takes as many matches as its proxies do; the youngest route past that is not accepted, and no service is lost"
  )
  func overfull() throws {
    var snapshot = MeshFixture.snapshot(MeshFixture.orders)
    let rule = HTTPRoute.Rule(
      matches: (0..<64).map { RouteMatch(path: .exact("/\($0)")) },
      backends: [RouteBackend(RouteBackendRef(namespace: "shop", name: "orders-v1", port: 80))])
    let fitting = 10_000 / 128
    for number in 0...fitting {
      // The first by name is the youngest.
      let route = HTTPRoute(
        metadata: ObjectMetadata(
          name: number == 0 ? "r" : "s\(number)", namespace: "shop", creationTime: Int64(-number)),
        parents: [RouteParent(namespace: "shop", service: "orders")], rules: [rule, rule])
      let resource = Resource.httpRoute(route)
      snapshot.manifests[resource.key] = Located(
        resource, at: ManifestPosition(file: "mesh.yaml", line: number + 1, column: 1))
    }
    let mesh = MeshCompiler.compile(snapshot)
    let told = "port 80 of shop/orders has 10000 matches at most, and older routes leave too few for this one"
    #expect(
      lines(mesh.routes) == [
        ["Accepted=False UnsupportedValue: \(told); write fewer matches, or remove routes", resolved]
      ])
    #expect(mesh.warnings.map(\.message) == [told])
    let config = try #require(mesh.services[MeshFixture.port("orders")])
    #expect(config.rules.flatMap(\.matches).count == fitting * 128)
    let message = Apus_V1_Resource(.service(config))
    #expect(throws: Never.self) { try MeshResource(message) }
  }

  @Test("the loser between kinds is told who won")
  func conflicted() {
    let both = route(backend) + MeshFixture.route("g", kind: "GRPCRoute", rules: "[{\(backend)}]")
    #expect(
      conditions(both) == [
        [
          "Accepted=False RouteReasonConflicted: port 80 of shop/orders follows the GRPCRoute shop/g, and only one kind "
            + "of route applies to a port; remove one of the two, or name another port", resolved,
        ]
      ])
    let mesh = MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + both))
    #expect(mesh.warnings.map(\.object) == ["HTTPRoute shop/r", "GRPCRoute shop/g"])
  }

  @Test("a consumer route says for whom it is")
  func consumer() {
    let text = MeshFixture.route(
      "r", namespace: "web", parents: ["name: orders, namespace: shop"],
      rules: "[{backendRefs: [{name: orders-v1, namespace: shop, port: 80}]}]")
    #expect(
      conditions(text) == [
        ["Accepted=True Accepted: attached to port 80 of shop/orders, for clients in the namespace web", resolved]
      ])
  }

  @Test(
    "a backend that cannot serve leaves the route accepted, and the condition names it, its loss and the fix",
    arguments: [
      (
        "backendRefs: [{name: orders-v1, port: 80}, {name: order-v2, port: 80}]",
        "BackendNotFound: spec.rules[0].backendRefs[1]: there is no Service shop/order-v2; its share is answered 500; "
          + "did you mean orders-v2?"
      ),
      (
        "backendRefs: [{name: orders-v1, port: 81, weight: 0}, {name: orders-v1, port: 80}]",
        "BackendNotFound: spec.rules[0].backendRefs[0]: the Service shop/orders-v1 has no port 81; with weight 0 it has "
          + "no share; its ports: 80 (http)"
      ),
      (
        "backendRefs: [{group: x.example, kind: Bucket, name: b}]",
        "InvalidKind: spec.rules[0].backendRefs[0]: the kind x.example/Bucket cannot serve; its share is answered 500; "
          + "write kind: Service"
      ),
      (
        "backendRefs: [{name: db, port: 5432}]",
        "UnsupportedProtocol: spec.rules[0].backendRefs[0]: port 5432 of shop/db carries TCP; its share is answered 500; "
          + "write appProtocol: http, http2 or grpc on the Service's port"
      ),
      (
        "backendRefs: [{name: orders, namespace: z, port: 80}]",
        "BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service z/orders; its share is answered 500; "
          + "did you mean namespace: shop?"
      ),
      (
        "backendRefs: [{name: orders-v1, port: 80, filters: [{type: RequestMirror, requestMirror: {backendRef: "
          + "{name: none, port: 80}}}]}]",
        "BackendNotFound: spec.rules[0].backendRefs[0].filters[0].requestMirror.backendRef: there is no Service "
          + "shop/none; nothing is mirrored; create it, or correct the name"
      ),
    ])
  func resolvedRefs(rule: String, expected: String) {
    let db = MeshFixture.service("db", selector: "{app: db}", ports: "[{name: tcp, port: 5432}]")
    #expect(
      conditions(db + route(rule)) == [
        ["Accepted=True Accepted: attached to port 80 of shop/orders", "ResolvedRefs=False \(expected)"]
      ])
  }

  @Test("a GRPCRoute's lost share is told in gRPC's words")
  func grpc() {
    #expect(
      conditions(route("backendRefs: [{name: none, port: 80}]", kind: "GRPCRoute"), kind: "GRPCRoute").first?.last
        == "ResolvedRefs=False BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service shop/none; "
        + "its share is answered UNAVAILABLE; create it, or correct the name")
  }

  @Test("a rule without backends is no broken reference")
  func noBackends() {
    #expect(conditions(route("matches: [{}]")).map { $0[1] } == [resolved])
  }

  @Test("a long list of broken references is cut")
  func manyBroken() {
    let refs = (0..<16).map { "{name: none\($0), port: 80}" }.joined(separator: ", ")
    let text = conditions(route("backendRefs: [\(refs)]")).first?.last ?? ""
    #expect(text.hasSuffix(" | and 12 more"))
  }

  // MARK: - Errors

  private func store(_ texts: String...) -> ManifestSet {
    var store = ManifestStore()
    for text in texts { store.update("mesh.yaml", text: MeshFixture.orders + text) }
    return store.merged()
  }

  private func statuses(_ set: ManifestSet) -> [[String]] {
    let snapshot = Snapshot(manifests: set.objects, rejected: set.rejected, problems: set.problems)
    return lines(MeshCompiler.compile(snapshot).routes)
  }

  @Test("a route that was refused from the start is not accepted, by any parent")
  func refused() {
    let set = store(route("\(backend), matches: [{method: get}]", parents: ["name: orders", "name: orders-v1"]))
    let expected = [
      "Accepted=False UnsupportedValue: mesh.yaml:22:75: spec.rules[0].matches[0].method: \"get\" is not a known value; "
        + "did you mean GET?"
    ]
    #expect(statuses(set) == [expected, expected])
  }

  @Test("filters that exclude each other have a reason of their own")
  func incompatible() {
    let set = store(route("\(backend), filters: [{type: RequestRedirect, requestRedirect: {}}]"))
    #expect(statuses(set).first?.first?.hasPrefix("Accepted=False IncompatibleFilters: mesh.yaml:") == true)
  }

  @Test("a newer text with an error leaves the last good route in force, which is partly invalid")
  func fallBack() {
    let set = store(route(backend), route("\(backend), matches: [{method: get}]"))
    let lines = statuses(set).first ?? []
    #expect(lines.prefix(2) == ["Accepted=True Accepted: attached to port 80 of shop/orders", resolved])
    #expect(
      lines.last?.hasPrefix("PartiallyInvalid=True UnsupportedValue: Fall Back to the version before: mesh.yaml:22:")
        == true)
    #expect(
      statuses(store(route(backend), route("\(backend), matches: [{method: get}]"), route(backend)))[0].count == 2)
  }

  // MARK: - Times

  @Test("a condition keeps the time of its last change")
  func dates() {
    func compiled(_ manifests: String) -> [RouteStatus] {
      MeshCompiler.compile(MeshFixture.snapshot(manifests)).routes
    }
    func times(_ statuses: [RouteStatus]) -> [Int64] {
      statuses.flatMap { $0.parents.flatMap { $0.conditions.map(\.since) } }
    }
    let good = compiled(MeshFixture.orders + route(backend))
    let first = good.dated(after: [], now: 1)
    #expect(times(first) == [1, 1])
    #expect(times(good.dated(after: first, now: 2)) == [1, 1])
    let broken = compiled(MeshFixture.orders + route("backendRefs: [{name: none, port: 80}]"))
    #expect(times(broken.dated(after: first, now: 3)) == [1, 3])
  }

  // MARK: - Admin API

  @Test("the tool asks for a kind, a namespace or a name, and gets parents and conditions")
  func adminAPI() {
    let routes =
      MeshFixture.route(
        "r", created: "2026-01-31T12:00:00Z", parents: ["name: orders, port: 80"], rules: "[{\(backend)}]")
      + MeshFixture.route(
        "g", kind: "GRPCRoute", parents: ["name: orders-v1, sectionName: http"], rules: "[{\(backend)}]")
    let compiled = MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + routes)).routes
    func names(_ change: (inout Apus_V1_RoutesRequest) -> Void) -> [String] {
      Apus_V1_RoutesResponse(compiled, matching: .with(change)).routes.map(\.name)
    }
    #expect(names { _ in } == ["g", "r"])
    #expect(names { $0.kind = "HTTPRoute" } == ["r"])
    #expect(names { $0.name = "g" } == ["g"])
    #expect(names { $0.namespace = "web" } == [])

    let response = Apus_V1_RoutesResponse(compiled.dated(after: [], now: 7), matching: .init())
    #expect(response.controllerName == "mesh.apus.dev/controller")
    #expect(
      response.routes.last
        == .with {
          $0.apiVersion = "gateway.networking.k8s.io/v1"
          $0.kind = "HTTPRoute"
          $0.namespace = "shop"
          $0.name = "r"
          $0.file = "mesh.yaml"
          $0.line = 17
          $0.created = 1_769_860_800
          $0.parents = [
            .with {
              $0.kind = "Service"
              $0.namespace = "shop"
              $0.name = "orders"
              $0.port = 80
              $0.conditions = [
                ("Accepted", "attached to port 80 of shop/orders"), ("ResolvedRefs", "every backend exists"),
              ]
              .map { type, message in
                .with {
                  $0.type = type
                  $0.status = true
                  $0.reason = type
                  $0.message = message
                  $0.sinceMs = 7
                }
              }
            }
          ]
        })
    #expect(response.routes.first?.parents.first?.sectionName == "http")
  }
}
