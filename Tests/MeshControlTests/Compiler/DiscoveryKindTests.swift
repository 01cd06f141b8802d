import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Names of services, and headless services")
struct DiscoveryKindTests {
  private func name(_ name: String, _ target: String, namespace: String = "shop") -> String {
    """
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: \(name), namespace: \(namespace)}
    spec: {type: ExternalName, externalName: \(target)}

    """
  }

  private let headless = """
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop}
    spec: {clusterIP: None, selector: {app: orders}, ports: [{port: 80}]}

    """

  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(
      MeshFixture.snapshot(
        MeshFixture.orders + manifests,
        workloads: [MeshFixture.workload("orders-1", service: "orders", host: 3, ports: [80])]))
  }

  private func route(_ parent: String, backend: String) -> String {
    MeshFixture.route("r", parents: ["name: \(parent)"], rules: "[{backendRefs: [{name: \(backend), port: 80}]}]")
  }

  private func conditions(_ mesh: CompiledMesh) -> [String] {
    mesh.routes.flatMap { $0.parents.flatMap { $0.conditions.map { "\($0.reason): \($0.message)" } } }
  }

  @Test("clients of a name get what clients of its service get, routes and consumer routes included")
  func names() {
    let consumer = MeshFixture.route(
      "c", namespace: "web", parents: ["name: orders, namespace: shop"],
      rules: "[{backendRefs: [{name: orders-v2, namespace: shop, port: 80}]}]")
    let mesh = compile(
      route("orders", backend: "orders-v1") + consumer + name("alias", "orders.shop.svc.cluster.local")
        + name("short", "Orders.Shop.", namespace: "web") + name("chain", "short.web.svc", namespace: "other"))
    let original = mesh.services[MeshFixture.port("orders")]
    #expect(original?.rules.map(\.name) == ["httproute/shop/r#0"])
    for (alias, namespace) in [("alias", "shop"), ("short", "web"), ("chain", "other")] {
      var port = MeshFixture.port(alias)
      port.service.namespace = namespace
      #expect(mesh.services[port]?.rules == original?.rules)
      #expect(mesh.services[port]?.key == port)
      #expect(mesh.consumers[ConsumerPort(namespace: "web", port: port)]?.rules.map(\.name) == ["httproute/web/c#0"])
      // It has no endpoints of its own.
      #expect(mesh.endpoints[port] == nil)
      #expect(mesh.hashes[.service(port)] != nil)
    }
    #expect(mesh.warnings == [])
  }

  @Test("a name that leads nowhere in the mesh is told, and is no service")
  func deadNames() {
    let mesh = compile(
      name("a", "db.example.com") + name("b", "order") + name("c", "d") + name("d", "c"))
    #expect(mesh.services.keys.map(\.service.name).filter { $0.count == 1 } == [])
    #expect(
      mesh.warnings.map { "\($0.object) \($0.field): \($0.message); \($0.fix)" } == [
        "Service shop/a spec.externalName: db.example.com is outside the mesh, so the name has no meaning in it: requests for "
          + "it are answered 404; ask for db.example.com itself, or write a ClusterIP Service with an EndpointSlice of its "
          + "addresses",
        "Service shop/b spec.externalName: there is no Service shop/order, so requests for the name are answered 404; "
          + "did you mean orders?",
        "Service shop/c spec.externalName: the name leads through more than 8 others, or in a circle; "
          + "name the Service itself",
        "Service shop/d spec.externalName: the name leads through more than 8 others, or in a circle; "
          + "name the Service itself",
      ])
  }

  @Test("a name is neither parent nor backend of a route")
  func routesOfNames() {
    let alias = name("alias", "orders")
    #expect(
      conditions(compile(alias + route("alias", backend: "orders-v1"))).first
        == "NoMatchingParent: the Service shop/alias is a name of another (type ExternalName), which no route attaches to; "
        + "name the other Service")
    let mesh = compile(alias + route("orders", backend: "alias"))
    #expect(
      conditions(mesh).last
        == "UnsupportedValue: spec.rules[0].backendRefs[0]: the Service shop/alias is a name of another (type ExternalName) "
        + "and no backend; its share is answered 500; name the other Service")
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.failureStatus) == [500])
  }

  @Test("a headless service is a backend and no parent")
  func headlessService() {
    let mesh = compile(headless + route("orders", backend: "db"))
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.failureStatus) == [nil])
    #expect(mesh.endpoints[MeshFixture.port("db")]?.endpoints.map(\.workload) == ["orders-1"])
    #expect(mesh.services[MeshFixture.port("db")]?.rules.map(\.name) == ["service/shop/db"])
    #expect(mesh.warnings == [])
    #expect(
      conditions(compile(headless + route("db", backend: "orders-v1"))).first
        == "NoMatchingParent: the Service shop/db is headless: its clients go to its endpoints, past every route; "
        + "name a Service with a cluster address, whose backend it may be")
  }

  @Test("each endpoint of a headless service has a name, with the service's policy and no route's rules")
  func endpointNames() {
    let slice = """
      ---
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata: {name: db-x, namespace: shop, labels: {kubernetes.io/service-name: db}}
      addressType: IPv4
      ports: [{port: 80}]
      endpoints:
      - {addresses: [10.0.0.1], hostname: db-0}
      - {addresses: [10.0.0.2], hostname: db-1}
      - {addresses: [10.0.0.3]}

      """
    let policy = MeshFixture.policy(
      "p", targets: ["group: \"\", kind: Service, name: db"], "limits: {connections: 7}\n  timeouts: {request: 2s}")
    let mesh = compile(headless + slice + policy)
    let names = mesh.services.keys.map(\.service.name).filter { $0.hasSuffix(".db") }.sorted()
    #expect(names == ["db-0.db", "db-1.db", "orders-1.db"])
    let port = MeshFixture.port("db-1.db")
    #expect(mesh.endpoints[port]?.endpoints.map(\.address.host) == ["10.0.0.2"])
    #expect(mesh.endpoints[port]?.key == port && mesh.endpoints[port]?.policy.limits.connections == 7)
    let rule = mesh.services[port]?.rules.first
    #expect(rule?.name == "service/shop/db-1.db" && rule?.backends.map(\.backend) == [port])
    #expect(rule?.timeouts.request == .seconds(2))
    #expect(mesh.hashes[.service(port)] != nil && mesh.hashes[.endpoints(port)] != nil)
    // Services with a cluster address have no such names.
    #expect(!mesh.services.keys.contains { $0.service.name.hasSuffix(".orders") })
  }

  @Test("ports and a selector of a name have no effect, and a headless service may say so in two ways")
  func fieldsOfNames() {
    func warnings(_ spec: String) -> [String] {
      ManifestParser.parse(
        file: "f.yaml", text: "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {\(spec)}"
      ).errors.map { "\($0.field) \($0.message)" }
    }
    #expect(
      warnings("type: ExternalName, externalName: a.b, ports: [{port: 80}], selector: {a: b}") == [
        "spec.ports has no effect on a Service of type ExternalName",
        "spec.selector has no effect on a Service of type ExternalName",
      ])
    #expect(warnings("clusterIP: None, ports: [{port: 80}]") == [])
    #expect(warnings("clusterIPs: [None], clusterIP: None, ports: [{port: 80}]") == [])
    #expect(warnings("clusterIP: 10.0.0.1, ports: [{port: 80}]") == ["spec.clusterIP has no effect on one machine"])
  }
}
