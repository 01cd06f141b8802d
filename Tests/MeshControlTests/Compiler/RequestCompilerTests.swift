import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compilation of what policies say of requests") struct RequestCompilerTests {
  private let namespace = "group: \"\", kind: Namespace, name: shop"
  private let ofRoute = "group: gateway.networking.k8s.io, kind: HTTPRoute, name: r"
  private func service(_ name: String) -> String { "group: \"\", kind: Service, name: \(name)" }

  private func compile(_ manifests: String) -> CompiledMesh { MeshFixture.compileWithOrders(manifests) }

  @Test("content is limited and held by clients' proxies for each rule, and by those of the service's endpoints")
  func content() {
    let route = MeshFixture.route(
      "r",
      rules: "[{name: own, backendRefs: [{name: orders-v1, port: 80}]}, "
        + "{name: mine, matches: [{path: {value: /mine}}], backendRefs: [{name: orders-v1, port: 80}]}]")
    let compiled = compile(
      route
        + MeshFixture.policy("n", targets: [namespace], "requests: {maximumBodyBytes: 1000}")
        + MeshFixture.policy("s", targets: [service("orders")], "requests: {bufferBytes: 10}")
        + MeshFixture.policy("r", targets: [ofRoute], "requests: {maximumBodyBytes: 500}")
        + MeshFixture.policy(
          "m", targets: [ofRoute + ", sectionName: mine"], "requests: {maximumBodyBytes: 0, bufferBytes: 0}"))
    #expect(
      compiled.workloads["w"]?.ports.map(\.requestBody) == [RequestBodyPolicy(maximumBytes: 1000, bufferBytes: 10)])
    let rules = compiled.services[MeshFixture.port("orders")]?.rules ?? []
    #expect(
      rules.first { $0.name.hasSuffix("#own") }?.requestBody == RequestBodyPolicy(maximumBytes: 500, bufferBytes: 10))
    #expect(rules.first { $0.name.hasSuffix("#mine") }?.requestBody == nil)
    #expect(
      compiled.services[MeshFixture.port("orders-v1")]?.rules.map(\.requestBody) == [
        RequestBodyPolicy(maximumBytes: 1000)
      ])
    #expect(compiled.warnings == [])
    let changed = compile(
      route + MeshFixture.policy("m", targets: [ofRoute + ", sectionName: mine"], "requests: {bufferBytes: 7}"))
    #expect(
      CompiledMesh.difference(from: compile(route), to: changed)
        == CompiledDifference(changed: [.service(MeshFixture.port("orders"))], removed: []))
  }

  @Test(
    "the proxies of a service's endpoints limit what their applications get at a time; an endpoint without one is told")
  func concurrency() {
    let policy = MeshFixture.policy("s", targets: [service("orders")], "adaptiveConcurrency: {minimum: 2}")
    let compiled = compile(policy)
    #expect(compiled.workloads["w"]?.ports.map(\.adaptiveConcurrency) == [AdaptiveConcurrency(minimum: 2)])
    #expect(compiled.warnings == [])
    #expect(
      CompiledMesh.difference(from: compile(""), to: compiled)
        == CompiledDifference(changed: [.workload("w")], removed: []))
    let off =
      MeshFixture.policy("n", targets: [namespace], "adaptiveConcurrency: {enabled: true}")
      + MeshFixture.policy("s", targets: [service("orders")], "adaptiveConcurrency: {enabled: false}")
    #expect(compile(off).workloads["w"]?.ports.map(\.adaptiveConcurrency) == [nil])
    let bare = """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: Workload
      metadata: {name: bare, namespace: shop, labels: {app: orders}}
      spec: {address: 10.0.0.9, ports: [{name: http, port: 8080}]}

      """
    let told = compile(bare + policy).warnings.map { "\($0.field): \($0.message)" }
    #expect(told.count == 1)
    #expect(told.first?.hasPrefix("spec.adaptiveConcurrency: the endpoint 10.0.0.9:") == true)
  }

  @Test("the proxies of a service's endpoints compress its answers")
  func compression() {
    let compiled = compile(
      MeshFixture.policy("n", targets: [namespace], "compression: {level: 1}")
        + MeshFixture.policy("s", targets: [service("orders-v1")], "compression: {enabled: false}"))
    #expect(compiled.workloads["w"]?.ports.map(\.compression) == [CompressionPolicy(level: 1)])
    #expect(compiled.warnings == [])
    #expect(
      CompiledMesh.difference(from: compile(""), to: compiled)
        == CompiledDifference(changed: [.workload("w")], removed: []))
  }

  @Test("overrides are the rules', of the most specific policy as a whole")
  func overrides() {
    let route = MeshFixture.route("r", rules: "[{name: own, backendRefs: [{name: orders-v1, port: 80}]}]")
    let compiled = compile(
      route
        + MeshFixture.policy("n", targets: [namespace], "overrides: {allow: [timeout], callers: [shop/web]}")
        + MeshFixture.policy("r", targets: [ofRoute], "overrides: {allow: [retries], callers: [shop/batch]}"))
    #expect(
      compiled.services[MeshFixture.port("orders")]?.rules.map(\.overrides) == [
        OverridePolicy(kinds: [.retries], callers: ["shop/batch"])
      ])
    #expect(
      compiled.services[MeshFixture.port("orders-v1")]?.rules.map(\.overrides) == [
        OverridePolicy(kinds: [.timeout], callers: ["shop/web"])
      ])
    #expect(compiled.warnings == [])
  }

  @Test("a global limit is asked for where a local one would be kept, and never by the service that counts")
  func globalLimits() {
    func limit(_ domain: String) -> String {
      "globalRateLimit: {service: {name: orders-v1, port: 80}, domain: \(domain), descriptors: [[{key: a, value: b}]]}"
    }
    let route = MeshFixture.route("r", rules: "[{name: own, backendRefs: [{name: orders-v1, port: 80}]}]")
    let compiled = compile(
      route + MeshFixture.policy("n", targets: [namespace], limit("wide"))
        + MeshFixture.policy("r", targets: [ofRoute], limit("route")))
    #expect(compiled.workloads["w"]?.ports.map(\.globalRateLimit?.domain) == ["wide"])
    #expect(compiled.services[MeshFixture.port("orders")]?.rules.map(\.globalRateLimit?.domain) == ["route"])
    #expect(compiled.services[MeshFixture.port("orders-v2")]?.rules.map(\.globalRateLimit?.domain) == [nil])
    #expect(compiled.warnings == [])
    let own = MeshFixture.policy(
      "s", targets: [service("orders")],
      "globalRateLimit: {service: {name: orders, port: 80}, domain: d, descriptors: [[{key: a, value: b}]]}")
    #expect(compile(own).workloads["w"]?.ports.map(\.globalRateLimit) == [nil])
    let unknown = compile(
      MeshFixture.policy(
        "s", targets: [service("orders")],
        "globalRateLimit: {service: {name: none, port: 1}, domain: d, descriptors: [[{key: a, value: b}]]}"))
    #expect(
      unknown.warnings.map(\.message) == [
        "the mesh knows no none.shop:1, so nobody counts: every request is treated as onFailure says"
      ])
  }
}
