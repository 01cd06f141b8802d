import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Compiling what is outside the mesh") struct ExternalCompilerTests {
  private static func external(
    _ name: String, hosts: String = "[api.example.com]", namespace: String = "shop", created: String? = nil,
    ports: String = "[{port: 80, targetPort: 443}]"
  ) -> String {
    """
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: ExternalService
    metadata: {name: \(name), namespace: \(namespace), creationTimestamp: \(created ?? "null")}
    spec:
      hosts: \(hosts)
      resolution: Static
      endpoints: [{address: 10.0.0.2, weight: 3, labels: {a: b}}, {address: 10.0.0.1}]
      ports: \(ports)

    """
  }

  private static func policy(
    _ name: String, _ target: String = "group: \"\", kind: Service, name: orders", created: String? = nil,
    refs: String = "[{group: \"\", kind: ConfigMap, name: ca}]", hostname: String = "a.example.com"
  ) -> String {
    """
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: BackendTLSPolicy
    metadata: {name: \(name), namespace: shop, creationTimestamp: \(created ?? "null")}
    spec:
      targetRefs: [{\(target)}]
      validation: {hostname: \(hostname), caCertificateRefs: \(refs)}

    """
  }

  private static func map(_ name: String, _ lines: String) -> String {
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: \(name), namespace: shop}\ndata:\n"
      + lines.split(separator: "\n").map { "  \($0)\n" }.joined()
  }

  /// Of nobody, valid until the next century.
  private static let root = """
    -----BEGIN CERTIFICATE-----
    MIIBfzCCASWgAwIBAgIUQhtudcBTmv4PEd6IvzVC3+A7noUwCgYIKoZIzj0EAwIw
    FDESMBAGA1UEAwwJdGVzdCByb290MCAXDTI2MTEyMzA4NTkxN1oYDzIxMjYxMDMw
    MDg1OTE3WjAUMRIwEAYDVQQDDAl0ZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAATlDkrrBwYLi+2RzsqkeGicrZD6qRyQlLM44fjvooINUj4hgARD8S0U
    vSonSlU9DFyDbHKscdgfPO4agaU2puclo1MwUTAdBgNVHQ4EFgQUOO34AiwWILRy
    uSV251P7XffSM2kwHwYDVR0jBBgwFoAUOO34AiwWILRyuSV251P7XffSM2kwDwYD
    VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiArmxjN6Mi/ZAAm4BzLF3ZB
    KL58RkELgehBkdXl6tQo0QIhALDUZcBqIAyXGSoHN76SV92uXF1aPTh5wJaZuacW
    aI4E
    -----END CERTIFICATE-----
    """

  private static func authority() -> String {
    "ca.crt: |\n" + root.split(separator: "\n").map { "  \($0)\n" }.joined()
  }

  private static func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
  }

  private static func conditions(_ mesh: CompiledMesh, _ name: String) -> [String] {
    let policy = mesh.policyStatuses.first { $0.key.name == name }?.ancestors.first?.conditions
    let status = mesh.routes.first { $0.key.name == name }?.conditions
    return (policy ?? status ?? []).map { "\($0.kind.rawValue)=\($0.isTrue) \($0.reason)" }
  }

  private static let api = MeshFixture.port("api")
  private static let good = ["Accepted=true Accepted", "ResolvedRefs=true ResolvedRefs"]

  // MARK: - ExternalService

  @Test("every port has its endpoints, and TLS where it asks for it")
  func endpoints() throws {
    let mesh = Self.compile(
      Self.external(
        "api",
        ports:
          "[{port: 80, targetPort: 443, tls: {minimumVersion: '1.3'}}, {name: g, port: 90, appProtocol: grpc}]"))
    let set = try #require(mesh.endpoints[Self.api])
    #expect(set.endpoints.map(\.address.description) == ["10.0.0.1:443", "10.0.0.2:443"])
    #expect(set.endpoints.map(\.weight) == [1, 3])
    #expect(set.endpoints[1].labels == ["a": "b"])
    #expect(set.tls == TLSOrigination(trust: .system, hostname: "api.example.com", minimumVersion: .tls13))
    let other = try #require(mesh.endpoints[MeshFixture.port("api", 90)])
    #expect(other.appProtocol == .grpc && other.tls == nil)
    #expect(other.endpoints.map(\.address.port) == [90, 90])
    #expect(mesh.services[Self.api]?.rules == [.direct(Self.api)])
    #expect(Self.conditions(mesh, "api") == Self.good)
  }

  @Test("hosts are for the own namespace, and those of the root namespace for all")
  func hosts() {
    let mesh = Self.compile(
      Self.external("api") + Self.external("root", hosts: "[root.example.com]", namespace: "apus-system")
        + Self.external("else", hosts: "[else.example.com]", namespace: "other"))
    func names(_ namespace: String) -> [String]? { mesh.hosts[namespace]?.entries.map(\.host) }
    #expect(names("shop") == ["api.example.com", "root.example.com"])
    #expect(names("other") == ["else.example.com", "root.example.com"])
    #expect(names("") == ["root.example.com"])
    #expect(mesh.hosts.count == 3)
  }

  @Test("of two for one host the older has it, and a name of the mesh stays one")
  func rivals() throws {
    let mesh = Self.compile(
      Self.external("api", created: "2026-02-01T00:00:00Z") + Self.external("old", created: "2026-01-01T00:00:00Z")
        + Self.external("thief", hosts: "[orders.shop]"))
    let table = ExternalHostTable(try #require(mesh.hosts["shop"]))
    #expect(table.service(of: "api.example.com", port: 80) == MeshFixture.port("old"))
    #expect(table.service(of: "orders.shop", port: 80) == nil)
    #expect(
      mesh.warnings.map(\.message) == [
        "the older ExternalService shop/old has api.example.com:80",
        "orders.shop is the Service shop/orders, and stays so",
      ])
  }

  @Test("a Service goes before an ExternalService of its name")
  func sameName() {
    let mesh = Self.compile(Self.external("orders"))
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.endpoints == [])
    #expect(mesh.hosts.isEmpty)
    #expect(Self.conditions(mesh, "orders")[0] == "Accepted=false Conflicted")
  }

  @Test("routes and policies name an ExternalService by its kind")
  func references() {
    func route(_ kind: String, _ group: String) -> String {
      MeshFixture.route(
        kind.lowercased(), rules: "[{backendRefs: [{group: \"\(group)\", kind: \(kind), name: api, port: 80}]}]")
    }
    let good = Self.compile(Self.external("api") + route("ExternalService", "mesh.apus.dev"))
    #expect(good.services[MeshFixture.port("orders")]?.rules.first?.backends.map(\.backend) == [Self.api])
    let bad = Self.compile(Self.external("api") + route("Service", ""))
    #expect(bad.services[MeshFixture.port("orders")]?.rules.first?.failureStatus == 500)
    #expect(bad.warnings.contains { $0.fix == "it is an ExternalService: write that kind" })
    let policed = Self.compile(
      Self.external("api")
        + MeshFixture.policy(
          "p", targets: ["group: mesh.apus.dev, kind: ExternalService, name: api"], "limits: {connections: 7}"))
    #expect(policed.endpoints[Self.api]?.policy.limits.connections == 7)
  }

  @Test("a route's parent is an ExternalService by its kind: its rules stand in the place of the service itself")
  func parents() throws {
    func route(
      _ name: String, _ parent: String, namespace: String = "shop", group: String = "mesh.apus.dev"
    ) -> String {
      """
      ---
      apiVersion: gateway.networking.k8s.io/v1
      kind: HTTPRoute
      metadata: {name: \(name), namespace: \(namespace)}
      spec:
        parentRefs: [{group: \(group), kind: ExternalService, \(parent)}]
        rules: [{matches: [{path: {value: /\(name)}}], backendRefs: [{name: orders, namespace: shop, port: 80}]}]

      """
    }
    let policy = MeshFixture.policy(
      "p", targets: ["group: mesh.apus.dev, kind: ExternalService, name: api"], "timeouts: {request: 3s}")
    let mesh = Self.compile(
      Self.external("api", ports: "[{name: http, port: 80}, {name: raw, port: 90, appProtocol: tcp}]") + policy
        + route("r", "name: api") + route("lost", "name: orders") + route("port", "name: api, port: 81"))
    let rules = try #require(mesh.services[Self.api]?.rules)
    #expect(rules.map(\.name) == ["httproute/shop/r#0"])
    #expect(rules[0].backends.map(\.backend) == [MeshFixture.port("orders")])
    #expect(rules[0].timeouts.request == .seconds(3))
    #expect(mesh.services[MeshFixture.port("api", 90)]?.rules.map(\.name) == ["service/shop/api"])
    func messages(_ name: String) -> [String] {
      mesh.routes.first { $0.key.name == name }?.parents.flatMap(\.conditions).map(\.message) ?? []
    }
    #expect(
      messages("r")[0]
        == "attached to port 80 of shop/api; port 90 of shop/api carries TCP, so the route does not apply to it; write "
        + "appProtocol: http on the ExternalService's port")
    #expect(
      messages("lost")[0]
        == "there is no ExternalService shop/orders, so the route does not attach to it; it is a Service: write that kind"
    )
    #expect(messages("port")[0] == "the ExternalService shop/api has no port 81; its ports: 80 (http), 90 (raw)")
  }

  @Test("an ExternalService for all has rules of its own for the clients of a namespace with a consumer route")
  func consumers() {
    let route = """
      ---
      apiVersion: gateway.networking.k8s.io/v1
      kind: HTTPRoute
      metadata: {name: r, namespace: shop}
      spec:
        parentRefs: [{group: mesh.apus.dev, kind: ExternalService, name: api, namespace: apus-system}]
        rules: [{backendRefs: [{name: orders, port: 80}]}]

      """
    let mesh = Self.compile(Self.external("api", namespace: "apus-system") + route)
    let port = ServicePort(service: ServiceName(name: "api", namespace: "apus-system"), port: 80)
    #expect(mesh.services[port]?.rules == [.direct(port)])
    #expect(
      mesh.consumers[ConsumerPort(namespace: "shop", port: port)]?.rules.map(\.name) == ["httproute/shop/r#0"])
  }

  @Test("the client's certificate is the ExternalService's own word, also beside a policy")
  func clientCertificate() throws {
    func origination(_ more: String) throws -> TLSOrigination {
      let ports = "[{port: 80, tls: {mode: Mutual, clientCertificate: /c.pem, privateKey: /k.pem}}]"
      return try #require(Self.compile(Self.external("api", ports: ports) + more).endpoints[Self.api]?.tls)
    }
    let files = TLSOrigination.ClientCertificate(certificateFile: "/c.pem", keyFile: "/k.pem")
    #expect(try origination("").clientCertificate == files)
    let policed = try origination(
      Self.policy("p", "group: mesh.apus.dev, kind: ExternalService, name: api") + Self.map("ca", Self.authority()))
    #expect(policed.hostname == "a.example.com" && policed.clientCertificate == files)
    var set = EndpointSet(key: Self.api, endpoints: [], tls: TLSOrigination(trust: .system, hostname: "a"))
    let plain = ContentHash { $0.add(set) }
    set.tls?.clientCertificate = files
    let mutual = ContentHash { $0.add(set) }
    set.tls?.clientCertificate?.keyFile = "/other.pem"
    #expect(Set([plain, mutual, ContentHash { $0.add(set) }]).count == 3)
  }

  @Test("limits that proxies of endpoints keep have nobody to keep them, each of which is told")
  func limits() {
    for block in [
      "rateLimits: [{requests: 1, period: 1s}]", "adaptiveConcurrency: {enabled: true}", "compression: {enabled: true}",
    ] {
      let mesh = Self.compile(
        Self.external("api")
          + MeshFixture.policy("p", targets: ["group: mesh.apus.dev, kind: ExternalService, name: api"], block))
      #expect(mesh.warnings.contains { $0.message.contains("of api.shop:80 is outside the mesh") }, "\(block)")
    }
  }

  @Test("with DNS the proxies are told the names")
  func names() throws {
    func mesh(_ hosts: String, _ more: String = "") -> CompiledMesh {
      Self.compile(
        """
        ---
        apiVersion: mesh.apus.dev/v1alpha1
        kind: ExternalService
        metadata: {name: api, namespace: shop}
        spec: {hosts: \(hosts), resolution: DNS, ports: [{port: 80, targetPort: 443, tls: {}}]}
        \(more)

        """)
    }
    let one = try #require(mesh("[api.example.com]").endpoints[Self.api])
    #expect(one.names == NameResolution(hosts: ["api.example.com"], port: 443))
    #expect(one.tls?.hostname == "api.example.com" && one.endpoints.isEmpty)
    let check = MeshFixture.policy(
      "p", targets: ["group: mesh.apus.dev, kind: ExternalService, name: api"], "healthCheck: {tcp: {}}")
    let many = mesh("['*.example.com', a.example.org]", check)
    let set = try #require(many.endpoints[Self.api])
    #expect(set.names?.hosts == ["*.example.com", "a.example.org"])
    #expect(set.tls?.hostname == "" && set.policy.healthCheck == nil)
    #expect(
      many.warnings.contains { $0.message == "api.shop:80 has hosts that requests name, and those are not checked" })
    #expect(mesh("[api.example.com]", check).endpoints[Self.api]?.policy.healthCheck != nil)
    #expect(many.hashes[.endpoints(Self.api)] != mesh("['*.example.com']", check).hashes[.endpoints(Self.api)])
  }

  // MARK: - BackendTLSPolicy

  @Test("a policy gives the endpoints of its service TLS")
  func policy() throws {
    let mesh = Self.compile(Self.policy("p") + Self.map("ca", Self.authority()))
    let tls = try #require(mesh.endpoints[MeshFixture.port("orders")]?.tls)
    #expect(tls.hostname == "a.example.com")
    guard case .authorities(let pem) = tls.trust else { return #expect(tls.trust == .nobody) }
    #expect(pem.hasPrefix("-----BEGIN CERTIFICATE-----"))
    #expect(mesh.endpoints[MeshFixture.port("orders-v1")]?.tls == nil)
    #expect(Self.conditions(mesh, "p") == Self.good)
  }

  @Test("for a port goes before for the service, and the older before the younger")
  func precedence() throws {
    let section = "group: \"\", kind: Service, name: orders, sectionName: http"
    let mesh = Self.compile(
      Self.policy("wide", created: "2026-01-01T00:00:00Z", hostname: "wide.example.com")
        + Self.policy("young", created: "2026-03-01T00:00:00Z", hostname: "young.example.com")
        + Self.policy("port", section, created: "2026-02-01T00:00:00Z", hostname: "port.example.com")
        + Self.map("ca", Self.authority()))
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.tls?.hostname == "port.example.com")
    #expect(Self.conditions(mesh, "wide") == Self.good)
    #expect(Self.conditions(mesh, "port") == Self.good)
    #expect(Self.conditions(mesh, "young")[0] == "Accepted=false Conflicted")
  }

  @Test(
    "without any authority that can be used, nobody is trusted",
    arguments: [
      ("[{group: \"\", kind: ConfigMap, name: none}]", "InvalidCACertificateRef"),
      ("[{group: \"\", kind: ConfigMap, name: other}]", "InvalidCACertificateRef"),
      ("[{group: \"\", kind: ConfigMap, name: broken}]", "InvalidCACertificateRef"),
      ("[{group: \"\", kind: Secret, name: ca}]", "InvalidKind"),
      ("[{group: x.example, kind: ConfigMap, name: ca}]", "InvalidKind"),
    ])
  func unusable(refs: String, reason: String) throws {
    let mesh = Self.compile(
      Self.policy("p", refs: refs) + Self.map("ca", Self.authority()) + Self.map("other", "tls.crt: x")
        + Self.map("broken", "ca.crt: x"))
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.tls?.trust == .nobody)
    #expect(Self.conditions(mesh, "p") == ["Accepted=false NoValidCACertificate", "ResolvedRefs=false \(reason)"])
  }

  @Test("one authority that can be used is enough")
  func partly() throws {
    let refs = "[{group: \"\", kind: ConfigMap, name: none}, {group: \"\", kind: ConfigMap, name: ca}]"
    let mesh = Self.compile(Self.policy("p", refs: refs) + Self.map("ca", Self.authority()))
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.tls?.trust != .nobody)
    #expect(Self.conditions(mesh, "p") == ["Accepted=true Accepted", "ResolvedRefs=false InvalidCACertificateRef"])
  }

  @Test("a policy that was refused leaves its targets without trust")
  func rejected() throws {
    let text = MeshFixture.orders + Self.policy("p", hostname: "\"*.example.com\"")
    let result = ManifestParser.parse(file: "mesh.yaml", text: text)
    var snapshot = Snapshot(
      manifests: Dictionary(result.objects.map { ($0.value.key, $0) }, uniquingKeysWith: { a, _ in a }),
      problems: result.errors)
    for located in result.rejected { snapshot.rejected[located.value.key] = located }
    let mesh = MeshCompiler.compile(snapshot)
    #expect(mesh.endpoints[MeshFixture.port("orders")]?.tls?.trust == .nobody)
    #expect(Self.conditions(mesh, "p") == ["Accepted=false Invalid"])
  }

  @Test("a port that carries TCP is told to be put into TLS as it is")
  func opaque() {
    let service = MeshFixture.service(
      "db", selector: "{app: db}", ports: "[{name: sql, port: 5432, appProtocol: tcp}]")
    let target = "group: \"\", kind: Service, name: db, sectionName: sql"
    let mesh = Self.compile(service + Self.policy("p", target) + Self.map("ca", Self.authority()))
    #expect(mesh.endpoints[MeshFixture.port("db", 5432)]?.tls != nil)
    #expect(mesh.warnings.contains { $0.message.hasPrefix("port 5432 of shop/db carries TCP") })
  }

  @Test("a target that does not exist is told")
  func missing() {
    let mesh = Self.compile(Self.policy("p", "group: \"\", kind: Service, name: order"))
    #expect(Self.conditions(mesh, "p")[0] == "Accepted=false TargetNotFound")
    #expect(
      mesh.warnings.contains { $0.message == "there is no Service shop/order" && $0.fix == "did you mean orders?" })
  }

  @Test("TLS and hosts are part of the content hash")
  func hashes() throws {
    let plain = Self.compile(Self.external("api"))
    let secured = Self.compile(Self.external("api", ports: "[{port: 80, targetPort: 443, tls: {}}]"))
    #expect(plain.hashes[.endpoints(Self.api)] != secured.hashes[.endpoints(Self.api)])
    #expect(plain.hashes[.hosts("shop")] == secured.hashes[.hosts("shop")])
    let more = Self.compile(Self.external("api", hosts: "[api.example.com, b.example.com]"))
    #expect(plain.hashes[.hosts("shop")] != more.hashes[.hosts("shop")])
  }
}
