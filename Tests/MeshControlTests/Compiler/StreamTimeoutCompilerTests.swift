import MeshCore
import MeshPolicy
import Testing

@testable import MeshControl

@Suite("Compilation of time limits of streams")
struct StreamTimeoutCompilerTests {
  private static let service = "group: \"\", kind: Service, name: orders"
  private static let route = "group: gateway.networking.k8s.io, kind: HTTPRoute, name: r"
  private static let rules = "[{backendRefs: [{name: orders-v1, port: 80}]}]"
  private static let workloads = [
    MeshFixture.workload("w", service: "orders", host: 5, labels: ["app": "orders", "version": "v1"])
  ]

  private static func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests, workloads: workloads))
  }

  private static func policy(_ name: String, _ target: String, _ timeouts: String) -> String {
    MeshFixture.policy(name, targets: [target], "timeouts: {\(timeouts)}")
  }

  private static func longestIdle(_ manifests: String) -> TimeSpan? {
    compile(manifests).workloads["w"]?.ports.first { $0.port == 8080 }?.longestIdle
  }

  @Test("a rule has those of its route, else of its service; 0s is none")
  func rules() {
    let route = MeshFixture.route("r", rules: Self.rules)
    let ofService = Self.policy("a", Self.service, "idle: 20s, stream: 1h, connect: 300ms")
    let mesh = Self.compile(route + ofService + Self.policy("b", Self.route, "idle: 0s, stream: 0s"))
    #expect(mesh.services[MeshFixture.port("orders")]?.rules.map(\.timeouts) == [RouteTimeouts(idle: .zero)])
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.policy.connectTimeout == .milliseconds(300))
    let wide = Self.compile(route + ofService)
    #expect(
      wide.services[MeshFixture.port("orders")]?.rules.map(\.timeouts)
        == [RouteTimeouts(idle: .seconds(20), stream: .seconds(3_600))])
  }

  @Test("connections that nobody reads have limits of their life only")
  func connections() {
    let tcp = MeshFixture.service(
      "db", selector: "{app: db}", ports: "[{name: tcp, port: 5432, appProtocol: tcp}]")
    let policy = Self.policy(
      "a", "group: \"\", kind: Service, name: db", "idle: 20s, stream: 1h, request: 5s, backendRequest: 1s")
    let expected = [RouteTimeouts(idle: .seconds(20), stream: .seconds(3_600))]
    let port = MeshFixture.port("db", 5432)
    #expect(Self.compile(tcp + policy).services[port]?.rules.map(\.timeouts) == expected)
    let route = MeshFixture.route(
      "t", kind: "TCPRoute", parents: ["name: db"], rules: "[{backendRefs: [{name: db, port: 5432}]}]")
    #expect(Self.compile(tcp + route + policy).services[port]?.rules.map(\.timeouts) == expected)
  }

  @Test("the endpoint's proxy is as patient as the most patient rule that leads to it, by whatever service")
  func patience() {
    let route = MeshFixture.route("r", rules: Self.rules)
    #expect(Self.longestIdle(route) == nil)
    let short = Self.policy("a", Self.service, "idle: 20s")
    #expect(Self.longestIdle(short) == .seconds(20))
    let v1 = Self.policy("b", "group: \"\", kind: Service, name: orders-v1", "idle: 2h")
    #expect(Self.longestIdle(route + short + v1) == .seconds(7_200))
    #expect(Self.longestIdle(route + v1 + Self.policy("c", Self.route, "idle: 0s")) == .zero)
  }
}
