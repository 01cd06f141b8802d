import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of authorization policies") struct AuthorizationDecodingTests {
  private struct Missing: Error {}

  private static func text(_ spec: String, namespace: String = "shop") -> String {
    let lines = spec.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n  ")
    return """
      apiVersion: mesh.apus.dev/v1alpha1
      kind: AuthorizationPolicy
      metadata: {name: a, namespace: \(namespace)}
      spec:
        \(lines)

      """
  }

  private func policy(_ spec: String, namespace: String = "shop") throws -> DeclaredAuthorization {
    let result = ManifestParser.parse(file: "a.yaml", text: Self.text(spec, namespace: namespace))
    #expect(result.errors.map(\.description) == [])
    guard case .authorizationPolicy(let policy)? = result.objects.first?.value else { throw Missing() }
    return policy
  }

  @Test("without targets a policy is for its namespace, and for the mesh in the system's")
  func targets() throws {
    #expect(try policy("defaultMode: deny").targets == [PolicyTarget(kind: .namespace, name: "shop")])
    #expect(
      try policy("defaultMode: deny", namespace: "apus-system").targets == [PolicyTarget(kind: .mesh, name: "default")])
    let targeted = try policy(
      "defaultMode: mesh-only\ntargetRefs: [{group: \"\", kind: Service, name: orders, sectionName: http}]")
    #expect(targeted.targets == [PolicyTarget(kind: .service, name: "orders", sectionName: "http")])
    #expect(targeted.mode == .meshOnly && targeted.action == nil)
  }

  @Test("every field of a rule comes through, with its not-form")
  func rules() throws {
    let declared = try policy(
      """
      action: deny
      rules:
      - from:
        - {serviceAccounts: [web, "pay/*"], notServiceAccounts: [shop/a], namespaces: ["team-*"], notNamespaces: [x],
           principals: ["spiffe://cluster.local/ns/*/sa/web", "*"], notPrincipals: ["spiffe://**"],
           trustDomains: [cluster.local], notTrustDomains: ["*.example"], ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.1]}
        to:
        - {ports: [80, 8080], notPorts: [90], methods: [GET], notMethods: [POST], hosts: ["*.Example.com"], notHosts: [a.b],
           paths: [/a, {prefix: /b}, {glob: "/c/*"}, {template: "/d/{id}/{**}"}], notPaths: [{exact: /e}]}
        when:
        - {header: X-Tenant, values: [a, "b*"], notValues: [c]}
        - {claim: realm_access.roles, values: ["*"]}
      - {}
      """)
    #expect(declared.action == .deny && declared.rules.count == 2)
    let rule = declared.rules[0]
    #expect(
      rule.sources == [
        AuthorizationSource(
          principals: Selection(["spiffe://cluster.local/ns/*/sa/web", "**"], not: ["spiffe://**"]),
          namespaces: Selection(["team-*"], not: ["x"]),
          serviceAccounts: Selection(["shop/web", "pay/*"], not: ["shop/a"]),
          trustDomains: Selection(["cluster.local"], not: ["*.example"]),
          addresses: Selection([AddressBlock("10.0.0.0/8")], not: [AddressBlock("10.1.0.1")]).compacted)
      ])
    #expect(rule.operations.map(\.ports) == [Selection([80, 8080], not: [90])])
    #expect(
      rule.operations.map(\.request) == [
        AuthorizationOperation(
          methods: Selection(["GET"], not: ["POST"]), hosts: Selection(["*.example.com"], not: ["a.b"]),
          paths: Selection(
            [.exact("/a"), .prefix("/b"), .glob("/c/*"), .template("/d/{id}/{**}")], not: [.exact("/e")]))
      ])
    #expect(
      rule.conditions == [
        AuthorizationCondition(.header("x-tenant"), Selection(["a", "b*"], not: ["c"])),
        AuthorizationCondition(.claim("realm_access.roles"), Selection(["*"])),
      ])
    #expect(declared.rules[1] == .init(sources: [], operations: [], conditions: []))
  }

  @Test("actions")
  func actions() throws {
    #expect(try policy("action: allow").action == .allow)
    #expect(try policy("action: audit\nrules: [{}]").action == .audit)
    #expect(try policy("action: custom\nprovider: opa\nrules: [{}]").action == .custom(provider: "opa"))
  }

  @Test("what of a policy concerns a port is what names it, or no port")
  func ports() throws {
    let declared = try policy(
      """
      action: allow
      rules:
      - {from: [{namespaces: [a]}], to: [{ports: [80]}, {ports: [90], methods: [GET]}]}
      - {from: [{namespaces: [b]}], to: [{ports: [90]}]}
      - {from: [{namespaces: [c]}], to: [{notPorts: [80]}]}
      - {from: [{namespaces: [d]}], to: [{methods: [PUT]}]}
      """)
    func rules(_ numbers: Set<UInt16>) -> [String] {
      (declared.policy(forPort: numbers)?.rules ?? []).map { rule in
        rule.sources[0].namespaces.values[0] + rule.operations.map { ":" + $0.methods.values.joined() }.joined()
      }
    }
    #expect(rules([80, 8080]) == ["a", "d:PUT"])
    #expect(rules([90]) == ["a:GET", "b", "c", "d:PUT"])
    #expect(rules([70]) == ["c", "d:PUT"])
    let deny = try policy("action: deny\nrules: [{to: [{ports: [80]}]}]")
    #expect(deny.policy(forPort: [80])?.rules == [AuthorizationRule()])
    #expect(deny.policy(forPort: [90]) == nil)
    // It admits nobody there.
    #expect(try policy("action: allow\nrules: [{to: [{ports: [80]}]}]").policy(forPort: [90])?.rules == [])
    #expect(try policy("defaultMode: deny").policy(forPort: [80]) == nil)
  }

  @Test(
    "mistakes are told with the place and what to write",
    arguments: [
      ("{}", "a.yaml:5:3: AuthorizationPolicy shop/a: spec: says nothing"),
      ("rules: [{}]", "spec.action: is required"),
      ("action: forbid\nrules: [{}]", "spec.action: \"forbid\" is not a known value"),
      ("action: deny", "spec.rules: matches nothing"),
      ("action: deny\nrules: []", "spec.rules: matches nothing"),
      ("action: custom\nrules: [{}]", "spec.provider: is required"),
      ("action: allow\nprovider: opa\nrules: [{}]", "spec.provider: is asked by the action custom alone"),
      ("defaultMode: strict", "spec.defaultMode: \"strict\" is not a known value"),
      ("selector: {}\ndefaultMode: deny", "spec.selector: policies are for services"),
      ("action: deny\nrules: [{from: []}]", "spec.rules[0].from: must not be empty"),
      ("action: deny\nrules: [{from: [{}]}]", "spec.rules[0].from[0]: matches every caller"),
      ("action: deny\nrules: [{to: [{}]}]", "spec.rules[0].to[0]: matches everything"),
      ("action: deny\nrules: [{from: [{namespaces: []}]}]", "spec.rules[0].from[0].namespaces: must not be empty"),
      (
        "action: deny\nrules: [{from: [{source: {}}]}]",
        "spec.rules[0].from[0].source: the fields stand in the entry itself"
      ),
      ("action: deny\nrules: [{from: [{principals: [shop/web]}]}]", "is no SPIFFE id"),
      ("action: deny\nrules: [{from: [{serviceAccounts: [a/b/c]}]}]", "is no service account"),
      ("action: deny\nrules: [{from: [{ipBlocks: [10.0.0.1/8]}]}]", "is no block of addresses"),
      ("action: deny\nrules: [{from: [{remoteIpBlocks: [10.0.0.0/8]}]}]", "is not believed"),
      ("action: deny\nrules: [{from: [{requestPrincipals: [\"*\"]}]}]", "is not supported"),
      ("action: deny\nrules: [{to: [{paths: [\"/a*\"]}]}]", "has a wildcard"),
      ("action: deny\nrules: [{to: [{paths: [//a]}]}]", "fix: write /a"),
      ("action: deny\nrules: [{to: [{paths: [{prefix: \"/a;b\"}]}]}]", "is not in the form"),
      ("action: deny\nrules: [{to: [{paths: [{prefix: /a, exact: /b}]}]}]", "is one pattern"),
      ("action: deny\nrules: [{to: [{paths: [{template: \"/{a b}\"}]}]}]", "is no variable"),
      ("action: deny\nrules: [{to: [{hosts: [\"a.b:80\"]}]}]", "is no host"),
      ("action: deny\nrules: [{to: [{methods: [\"*\"]}]}]", "is no method"),
      ("action: deny\nrules: [{when: [{header: a}]}]", "asks for nothing"),
      ("action: deny\nrules: [{when: [{header: a, claim: b, values: [c]}]}]", "is about one thing"),
      ("action: deny\nrules: [{when: [{header: host, values: [c]}]}]", "HTTP/2 has no such field"),
      ("action: deny\nrules: [{when: [{key: \"request.headers[a]\", values: [c]}]}]", "spec.rules[0].when[0].key"),
      (
        "action: deny\nrules: [{}]\ntargetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]",
        "which knows no HTTPRoute"
      ),
      ("action: deny\nrules: [{}]\ntargetRefs: []", "spec.targetRefs: must not be empty"),
    ])
  func mistakes(_ spec: String, _ expected: String) {
    let text = spec == "{}" ? Self.text("").replacing("  \n", with: "  {}\n") : Self.text(spec)
    let errors = ManifestParser.parse(file: "a.yaml", text: text).errors.filter { $0.severity == .error }
    #expect(
      errors.contains { $0.description.contains(expected) || "fix: \($0.fix)".contains(expected) },
      "\(errors.map(\.description))")
  }
}

extension Selection<AddressBlock?> {
  fileprivate var compacted: Selection<AddressBlock> {
    Selection<AddressBlock>(values.compactMap(\.self), not: notValues.compactMap(\.self))
  }
}
