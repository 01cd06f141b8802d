import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compiling MeshTLS and egress") struct MeshTLSCompilerTests {
  private static func policy(
    _ name: String, _ spec: String, namespace: String = "shop", created: String = "null"
  ) -> String {
    """
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: MeshTLS
    metadata: {name: \(name), namespace: \(namespace), creationTimestamp: \(created)}
    spec: \(spec)

    """
  }

  private static let mesh = policy("all", "{mode: strict}", namespace: "apus-system")
  private static let shop = policy("shop", "{mode: permissive, ports: [{port: 9090, mode: strict}]}")
  private static let orders = policy(
    "orders", "{selector: {matchLabels: {app: orders}}, ports: [{port: 8080, mode: disabled}]}")
  private static let other = policy("other", "{mode: disabled}", namespace: "other")

  private static func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(
      MeshFixture.snapshot(
        MeshFixture.service("orders", selector: "{app: orders}") + manifests,
        workloads: [MeshFixture.workload("orders-1", service: "orders", host: 2, ports: [8080, 9090])]))
  }

  private static func modes(_ manifests: String) -> [MeshTLSMode] {
    compile(manifests).workloads["orders-1"]?.ports.map(\.meshTLS) ?? []
  }

  @Test(
    "the narrowest word counts: labels, namespace, mesh; within one of them the port before the rest",
    arguments: [
      ("", [MeshTLSMode.permissive, .permissive]), (mesh, [.strict, .strict]), (other, [.permissive, .permissive]),
      (mesh + shop, [.permissive, .strict]), (mesh + shop + orders, [.disabled, .strict]),
      (mesh + orders, [.disabled, .strict]),
      (orders, [.disabled, .permissive]),
      (policy("x", "{ports: [{port: 9090, mode: strict}]}"), [.permissive, .strict]),
      (policy("x", "{mode: disabled, selector: {matchLabels: {app: carts}}}"), [.permissive, .permissive]),
    ])
  func precedence(_ manifests: String, _ expected: [MeshTLSMode]) { #expect(Self.modes(manifests) == expected) }

  @Test("of two for the same the older counts, and the other is told") func conflict() {
    let older = Self.policy("b", "{mode: strict}", created: "\"2024-01-01T00:00:00Z\"")
    let newer = Self.policy("a", "{mode: permissive}", created: "\"2025-01-01T00:00:00Z\"")
    let mesh = Self.compile(newer + older)
    #expect(mesh.workloads["orders-1"]?.ports.map(\.meshTLS) == [.strict, .strict])
    #expect(mesh.warnings.compactMap(\.code) == [.meshTLSConflict])
    let conditions = mesh.policyStatuses.first { $0.key.name == "a" }?.ancestors.first?.conditions ?? []
    #expect(conditions.contains { $0.kind == .conflicted && $0.isTrue && $0.message.contains("MeshTLS shop/b") })
    // Two that agree are no conflict.
    #expect(Self.compile(older + Self.policy("c", "{mode: strict}")).warnings == [])
  }

  @Test("where it is disabled clients call the program itself, without an identity") func disabled() throws {
    let mesh = Self.compile(Self.policy("none", "{mode: disabled}"))
    let key = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
    let endpoint = try #require(mesh.endpoints[key]?.endpoints.first)
    #expect(endpoint.identity == nil && endpoint.address == SocketAddress("127.66.0.2:8080"))
    #expect(mesh.warnings.compactMap(\.code) == [.meshTLSDisabled])
    let meshed = try #require(Self.compile(Self.mesh).endpoints[key]?.endpoints.first)
    #expect(meshed.identity != nil && meshed.address == endpoint.address)
  }

  @Test("labels and ports that nothing has are told") func missing() {
    let nobody = Self.compile(Self.policy("x", "{mode: strict, selector: {matchLabels: {app: carts}}}"))
    #expect(nobody.warnings.map(\.message) == ["no workload of shop has app=carts"])
    let port = Self.compile(Self.policy("x", "{ports: [{port: 1, mode: strict}]}"))
    #expect(port.warnings.map(\.field) == ["spec.ports[0].port"])
    let status = port.policyStatuses.first?.ancestors.first?.conditions ?? []
    #expect(status.contains { $0.kind == .resolvedRefs && !$0.isTrue && $0.reason == "NoWorkload" })
  }

  @Test("explanations have the mode of a service's port, with its source") func words() {
    let key = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
    let entries = Self.compile(Self.mesh).policyInForce(key)?.entries ?? []
    #expect(entries.map(\.field) == ["meshTLS.mode"] && entries.map(\.value) == ["strict"])
    #expect(entries.map(\.policy) == ["MeshTLS apus-system/all"] && entries.map(\.level) == ["mesh"])
    #expect(Self.compile("").policyInForce(key) == nil)
  }

  @Test("each mode and each rule of egress changes the workload's hash") func hashes() {
    let config = { (egress: String) in
      """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: MeshConfig
      metadata: {name: default, namespace: apus-system}
      spec: {egress: \(egress)}

      """
    }
    let variants = [
      "", Self.mesh, Self.policy("d", "{mode: disabled}"), config("{mode: REGISTRY_ONLY}"),
      config("{deny: [{hosts: [a.com]}]}"), config("{deny: [{hosts: [b.com]}]}"),
      config("{deny: [{hosts: [a.com], ports: [80]}]}"),
      config("{mode: REGISTRY_ONLY, allow: [{hosts: [a.com]}]}"),
    ]
    let hashes = variants.map { Self.compile($0).hashes[.workload("orders-1")] }
    #expect(Set(hashes).count == variants.count)
  }

  @Test("a proxy has the rules for its own identity only") func identities() {
    let mesh = Self.compile(
      """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: MeshConfig
      metadata: {name: default, namespace: apus-system}
      spec:
        egress:
          mode: REGISTRY_ONLY
          allow:
          - {hosts: [a.com], clients: [shop/orders]}
          - {hosts: [b.com], clients: [shop/carts]}
          - {hosts: [c.com], clients: [shop/*]}
          - {hosts: [d.com], clients: [sho/*]}
          - {hosts: [e.com]}

      """)
    let egress = mesh.workloads["orders-1"]?.egress
    #expect(egress?.mode == .registryOnly && egress?.allow.flatMap(\.hosts) == ["a.com", "c.com", "e.com"])
    #expect(egress?.allow.map(\.name) == ["egress.allow[0]", "egress.allow[2]", "egress.allow[4]"])
    #expect(mesh.policyStatuses.map(\.key.description) == ["MeshConfig apus-system/default"])
  }
}
