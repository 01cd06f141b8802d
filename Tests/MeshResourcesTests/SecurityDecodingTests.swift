import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of MeshTLS and MeshConfig") struct SecurityDecodingTests {
  private static func parse(
    _ kind: String, _ spec: String, metadata: String = "{name: default, namespace: apus-system}"
  ) -> ManifestParser.Result {
    ManifestParser.parse(
      file: "s.yaml",
      text: "apiVersion: mesh.apus.dev/v1alpha1\nkind: \(kind)\nmetadata: \(metadata)\nspec: \(spec)\n")
  }

  @Test("a MeshTLS has labels, a mode, and ports with modes of their own") func meshTLS() throws {
    let result = Self.parse(
      "MeshTLS", "{selector: {matchLabels: {app: orders}}, mode: strict, ports: [{port: 9090, mode: permissive}]}",
      metadata: "{name: orders, namespace: shop}")
    #expect(result.errors == [])
    guard case .meshTLS(let policy)? = result.objects.first?.value else { return #expect(Bool(false)) }
    #expect(policy.selector == ["app": "orders"] && policy.mode == .strict)
    #expect(policy.ports.map(\.port) == [9090] && policy.ports.map(\.mode) == [.permissive])
    #expect(result.objects.first?.value.key.description == "MeshTLS shop/orders")
  }

  @Test("a MeshConfig has a mode and rules, hosts in lower case") func meshConfig() throws {
    let result = Self.parse(
      "MeshConfig",
      """
      {egress: {mode: REGISTRY_ONLY, allow: [{hosts: [API.Example.com, "*.b.org", 10.0.0.0/8], ports: [443], clients: [shop/web, ops/*]}],
        deny: [{hosts: ["*"]}]}}
      """)
    #expect(result.errors == [])
    guard case .meshConfig(let config)? = result.objects.first?.value else { return #expect(Bool(false)) }
    #expect(config.egressMode == .registryOnly && config.deny.map(\.hosts) == [["*"]])
    #expect(config.allow.map(\.hosts) == [["api.example.com", "*.b.org", "10.0.0.0/8"]])
    #expect(config.allow.map(\.ports) == [[443]] && config.allow.map(\.clients) == [["shop/web", "ops/*"]])
  }

  @Test(
    "what cannot be meant is refused with the field",
    arguments: [
      ("MeshTLS", "{}", "spec: says nothing"),
      ("MeshTLS", "{mode: Strict}", "spec.mode: \"Strict\" is not a known value"),
      ("MeshTLS", "{mode: strict, selector: {matchLabels: {}}}", "spec.selector.matchLabels: must not be empty"),
      ("MeshTLS", "{mode: strict, selector: {}}", "spec.selector.matchLabels: is required"),
      ("MeshTLS", "{ports: [{port: 0, mode: strict}]}", "spec.ports[0].port: must be a whole number"),
      ("MeshTLS", "{ports: [{port: 80}]}", "spec.ports[0].mode: is required"),
      (
        "MeshTLS", "{ports: [{port: 80, mode: strict}, {port: 80, mode: disabled}]}",
        "spec.ports[1]: port 80 is listed twice"
      ),
      ("MeshTLS", "{mode: strict, prots: []}", "spec.prots"),
      ("MeshConfig", "{egress: {mode: ALLOW}}", "spec.egress.mode: \"ALLOW\" is not a known value"),
      ("MeshConfig", "{egress: {deny: [{hosts: []}]}}", "spec.egress.deny[0].hosts: must not be empty"),
      (
        "MeshConfig", "{egress: {deny: [{hosts: [\"a.*.com\"]}]}}",
        "spec.egress.deny[0].hosts[0]: \"a.*.com\" is no host"
      ),
      (
        "MeshConfig", "{egress: {deny: [{hosts: [\"a.com:80\"]}]}}",
        "spec.egress.deny[0].hosts[0]: \"a.com:80\" is no host"
      ),
      ("MeshConfig", "{egress: {deny: [{hosts: [\"10.0.0.0/40\"]}]}}", "is no host"),
      (
        "MeshConfig", "{egress: {deny: [{hosts: [a.com], clients: [web]}]}}",
        "spec.egress.deny[0].clients[0]: \"web\" is no service account"
      ),
      (
        "MeshConfig", "{egress: {deny: [{hosts: [a.com], clients: []}]}}",
        "spec.egress.deny[0].clients: must not be empty"
      ),
    ])
  func mistakes(_ kind: String, _ spec: String, _ expected: String) {
    let errors = Self.parse(kind, spec).errors.filter { $0.severity == .error }.map(\.description)
    #expect(errors.contains { $0.contains(expected) }, "\(errors)")
  }

  @Test(
    "there is one MeshConfig", arguments: ["{name: other, namespace: apus-system}", "{name: default, namespace: shop}"])
  func one(_ metadata: String) {
    let errors = Self.parse("MeshConfig", "{}", metadata: metadata).errors.map(\.description)
    #expect(errors.contains { $0.contains("there is one MeshConfig, apus-system/default") }, "\(errors)")
  }
}
