import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of what is outside the mesh") struct ExternalDecodingTests {
  private static func external(_ spec: String) -> String {
    """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: ExternalService
    metadata: {name: api, namespace: shop}
    spec: {\(spec)}

    """
  }

  private static func policy(_ spec: String, version: String = "v1") -> String {
    """
    apiVersion: gateway.networking.k8s.io/\(version)
    kind: BackendTLSPolicy
    metadata: {name: p, namespace: shop}
    spec: {\(spec)}

    """
  }

  private static let targets = "targetRefs: [{group: \"\", kind: Service, name: orders, sectionName: http}]"

  @Test("an ExternalService with every field")
  func everything() throws {
    let result = ManifestParser.parse(
      file: "f.yaml",
      text: Self.external(
        """
        hosts: [API.example.com., "*.example.org"], resolution: Static,
        endpoints: [{address: 10.0.0.1, weight: 2, labels: {a: b}}, {address: "fd00::1"}],
        ports: [{name: web, port: 80, targetPort: 443, appProtocol: http2, tls: {mode: Simple, hostname: a.example.com, minimumVersion: "1.3",
          caCertificates: PEM, subjectAltNames: [{type: Hostname, hostname: b.example.com}, {type: URI, uri: "spiffe://a/b"}]}},
          {name: raw, port: 443, appProtocol: tls},
          {name: own, port: 81, tls: {mode: Mutual, hostname: a.example.com, clientCertificate: /c.pem, privateKey: /k.pem}}]
        """))
    #expect(result.errors.map(\.description) == [])
    guard case .externalService(let service)? = result.objects.first?.value else { throw Missing() }
    #expect(service.hosts == ["api.example.com", "*.example.org"])
    #expect(service.endpoints.map(\.weight) == [2, 1])
    #expect(service.endpoints.map(\.address.host) == ["10.0.0.1", "fd00::1"])
    #expect(
      service.ports == [
        .init(
          name: "web", port: 80, targetPort: 443, appProtocol: .http2,
          tls: TLSValidation(
            authorities: .inline("PEM"), hostname: "a.example.com", alternativeHosts: ["b.example.com"],
            alternativeURIs: ["spiffe://a/b"], minimumVersion: .tls13)),
        .init(name: "raw", port: 443, appProtocol: .tcp),
        .init(
          name: "own", port: 81, tls: TLSValidation(authorities: .system, hostname: "a.example.com"),
          clientCertificate: .init(certificateFile: "/c.pem", keyFile: "/k.pem")),
      ])
  }

  private struct Missing: Error {}

  @Test("a BackendTLSPolicy with every field, in both versions", arguments: ["v1", "v1alpha3"])
  func policy(version: String) throws {
    let result = ManifestParser.parse(
      file: "f.yaml",
      text: Self.policy(
        """
        targetRefs: [{group: "", kind: Service, name: orders, sectionName: http},
          {group: mesh.apus.dev, kind: ExternalService, name: api}],
        validation: {hostname: a.example.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
        """, version: version))
    #expect(result.errors.map(\.description) == [])
    guard case .backendTLSPolicy(let policy)? = result.objects.first?.value else { throw Missing() }
    #expect(
      policy.targets == [
        PolicyTarget(kind: .service, name: "orders", sectionName: "http"),
        PolicyTarget(kind: .externalService, name: "api"),
      ])
    #expect(policy.validation == TLSValidation(authorities: .refs([.init(name: "ca")]), hostname: "a.example.com"))
  }

  @Test("an option is told to have no effect")
  func options() {
    let validation = "validation: {hostname: a.b, wellKnownCACertificates: System}"
    let result = ManifestParser.parse(
      file: "f.yaml", text: Self.policy("\(Self.targets), \(validation), options: {example.com/x: y}"))
    #expect(result.objects.count == 1)
    #expect(result.errors.map(\.message) == ["the option example.com/x is not known here and has no effect"])
  }

  @Test("the oldest TLS is an option of ours, with two values", arguments: ["1.2", "1.3", "1.1"])
  func version(value: String) {
    let validation = "validation: {hostname: a.b, wellKnownCACertificates: System}"
    let options = "options: {mesh.apus.dev/minimum-tls-version: \"\(value)\"}"
    let result = ManifestParser.parse(file: "f.yaml", text: Self.policy("\(Self.targets), \(validation), \(options)"))
    guard case .backendTLSPolicy(let policy)? = result.objects.first?.value, result.errors.isEmpty else {
      #expect(value == "1.1" && result.errors.count == 1)
      return
    }
    #expect(policy.validation.minimumVersion.rawValue == value)
  }

  @Test("a ConfigMap is read for its authorities")
  func configMap() {
    let result = ManifestParser.parse(
      file: "f.yaml",
      text: """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: ca, namespace: shop}
        immutable: true
        data: {ca.crt: PEM, other: "1"}
        binaryData: {more: eA==}

        """)
    #expect(result.errors.map(\.description) == [])
    #expect(
      result.objects.map(\.value) == [
        .configMap(ConfigMap(metadata: ObjectMetadata(name: "ca", namespace: "shop"), authorities: "PEM"))
      ])
  }

  @Test(
    "the bounds of a TTL",
    arguments: [
      ("", 5, 300), (", dns: {}", 5, 300), (", dns: {minimumTTL: 1s, maximumTTL: 2s}", 1, 2),
      (", dns: {minimumTTL: 10m}", 600, 600), (", dns: {maximumTTL: 2s}", 2, 2), (", dns: {maximumTTL: 1h}", 5, 3600),
    ])
  func ttl(dns: String, minimum: Int64, maximum: Int64) throws {
    let result = ManifestParser.parse(
      file: "f.yaml", text: Self.external("hosts: ['*.a.b', c.d], ports: [{port: 80, tls: {}}], resolution: DNS\(dns)"))
    #expect(result.errors.map(\.description) == [])
    guard case .externalService(let service)? = result.objects.first?.value else { throw Missing() }
    #expect(service.resolution == .dns(minimumTTL: .seconds(minimum), maximumTTL: .seconds(maximum)))
  }

  private static let endpoints = "resolution: Static, endpoints: [{address: 10.0.0.1}]"

  @Test(
    "mistakes in an ExternalService",
    arguments: [
      ("hosts: [], ports: [{port: 80}], \(endpoints)", "spec.hosts: must not be empty; list at least one host"),
      (
        "hosts: [api], ports: [{port: 80}], \(endpoints)",
        "spec.hosts[0]: \"api\" is a name of the mesh: names outside have a dot; write a name such as api.example.com or *.example.com"
      ),
      (
        "hosts: [a.shop.svc], ports: [{port: 80}], \(endpoints)",
        "spec.hosts[0]: \"a.shop.svc\" is a name of the mesh; write a name such as api.example.com or *.example.com"
      ),
      (
        "hosts: [10.0.0.1], ports: [{port: 80}], \(endpoints)",
        "spec.hosts[0]: \"10.0.0.1\" is not a name of the DNS; write a name such as api.example.com or *.example.com"
      ),
      ("hosts: [a.b, a.b], ports: [{port: 80}], \(endpoints)", "spec.hosts[1]: a.b is listed twice"),
      ("hosts: [a.b], ports: [{port: 80}, {port: 80}], \(endpoints)", "spec.ports[1]: port 80 is listed twice"),
      (
        "hosts: [a.b], ports: [{port: 443, appProtocol: tls, tls: {}}], \(endpoints)",
        "spec.ports[0].tls: programs speak TLS to this port themselves; write appProtocol: http, or remove tls"
      ),
      (
        "hosts: [a.b], ports: [{port: 80, tls: {mode: Mutual, privateKey: /k}}], \(endpoints)",
        "spec.ports[0].tls.clientCertificate: is required; write the path of a PEM file on the proxy's machine, own "
          + "certificate first"
      ),
      (
        "hosts: [a.b], ports: [{port: 80, tls: {mode: Mutual, clientCertificate: c, privateKey: /k}}], \(endpoints)",
        "spec.ports[0].tls.clientCertificate: \"c\" is not an absolute path; begin it with /"
      ),
      (
        "hosts: [a.b], ports: [{port: 80, tls: {mode: Mutual, clientCertificate: /c, privateKey: -----BEGIN KEY}}], "
          + "\(endpoints)",
        "spec.ports[0].tls.privateKey: is the path of a file: what stands in a manifest is no secret; put it into a "
          + "file on the proxy's machine"
      ),
      (
        "hosts: [a.b], ports: [{port: 80, tls: {privateKey: /k}}], \(endpoints)",
        "spec.ports[0].tls.privateKey: is for mode: Mutual; remove it, or write mode: Mutual"
      ),
      (
        "hosts: ['*.a.b'], ports: [{port: 80, tls: {}}], \(endpoints)",
        "spec.ports: port 80 has TLS, and the service has not one name only; write ports[0].tls.hostname"
      ),
      (
        "hosts: [a.b], ports: [{port: 80, tls: {caCertificates: x, wellKnownCACertificates: System}}], \(endpoints)",
        "spec.ports[0].tls.caCertificates: stands beside spec.ports[0].tls.wellKnownCACertificates; remove one of the two"
      ),
      (
        "hosts: [a.b], ports: [{port: 80}, {port: 81}], resolution: Static, endpoints: [{address: 10.0.0.1, port: 9}]",
        "spec.endpoints[0].port: the service has several ports; write targetPort at each of spec.ports"
      ),
      (
        "hosts: [a.b], ports: [{port: 80}], resolution: Static",
        "spec.endpoints: is required; list the addresses of the server"
      ),
      (
        "hosts: [a.b], ports: [{port: 80}], resolution: DNS, endpoints: [{address: 10.0.0.1}]",
        "spec.endpoints: the DNS says where the server is; remove them, or write resolution: Static"
      ),
      (
        "hosts: [a.b], ports: [{port: 80}], resolution: DNS, dns: {minimumTTL: 2s, maximumTTL: 1s}",
        "spec.dns.minimumTTL: is more than maximumTTL; write less"
      ),
      (
        "hosts: [a.b], ports: [{port: 80}], resolution: DNS, dns: {minimumTTL: 2s, maximumTTL: 25h}",
        "spec.dns.maximumTTL: must be from 1s to 24h"
      ),
      ("hosts: [a.b], ports: [{port: 80}], \(endpoints), dns: {}", "spec.dns: is for resolution: DNS; remove it"),
    ])
  func mistakes(spec: String, expected: String) {
    let result = ManifestParser.parse(file: "f.yaml", text: Self.external(spec))
    let told = result.errors.map { "\($0.field): \($0.message)" + ($0.fix.isEmpty ? "" : "; \($0.fix)") }
    #expect(told == [expected])
    #expect(result.rejected.count == 1)
  }

  private static let good = "hostname: a.b, wellKnownCACertificates: System"

  @Test(
    "mistakes in a BackendTLSPolicy",
    arguments: [
      ("\(targets)", "spec.validation: is required"),
      ("\(targets), validation: {wellKnownCACertificates: System}", "spec.validation.hostname: is required"),
      ("\(targets), validation: {hostname: a.b}", "spec.validation: names no authority"),
      (
        "\(targets), validation: {hostname: a.b, wellKnownCACertificates: Mine}",
        "spec.validation.wellKnownCACertificates: \"Mine\" is not a known value"
      ),
      (
        "\(targets), validation: {hostname: '*.b', wellKnownCACertificates: System}",
        "spec.validation.hostname: \"*.b\" is a pattern, and one server has one name"
      ),
      (
        "\(targets), validation: {hostname: a.b, caCertificateRefs: []}",
        "spec.validation.caCertificateRefs: must not be empty"
      ),
      (
        "\(targets), validation: {\(good), caCertificates: x}",
        "spec.validation.caCertificates: is not a field of this object"
      ),
      (
        "\(targets), validation: {\(good), subjectAltNames: [{type: URI, uri: nothing}]}",
        "spec.validation.subjectAltNames[0].uri: \"nothing\" is not a URI"
      ),
      (
        "\(targets), validation: {\(good), subjectAltNames: [{type: URI, uri: 'a:b', hostname: a.b}]}",
        "spec.validation.subjectAltNames[0].hostname: stands in an entry of type URI"
      ),
      (
        "\(targets), validation: {\(good), subjectAltNames: [{type: Hostname}]}",
        "spec.validation.subjectAltNames[0].hostname: is required"
      ),
      (
        "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}], validation: {\(good)}",
        "spec.targetRefs[0]: a BackendTLSPolicy is for a Service or an ExternalService"
      ),
    ])
  func policyMistakes(spec: String, expected: String) {
    let result = ManifestParser.parse(file: "f.yaml", text: Self.policy(spec))
    #expect(result.errors.map { "\($0.field): \($0.message)" } == [expected])
    #expect(result.rejected.count == 1)
  }
}
