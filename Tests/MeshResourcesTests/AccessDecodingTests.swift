import MeshCore
import MeshPolicy
import MeshResources
import Testing

/// TrafficTargets, IdentityBindings and ExternalAuthorizers as manifests say them.
@Suite("Access kinds")
struct AccessDecodingTests {
  private func parse(_ kind: String, _ body: String, _ version: String) -> ManifestParser.Result {
    ManifestParser.parse(
      file: "f.yaml",
      text: "apiVersion: \(version)\nkind: \(kind)\nmetadata: {name: a, namespace: shop}\n\(body)\n")
  }

  private func target(_ body: String, _ version: String = "v1alpha4") -> ManifestParser.Result {
    parse("TrafficTarget", body, "access.smi-spec.io/\(version)")
  }

  private static let whole = """
    spec:
      destination: {kind: ServiceAccount, name: orders}
      rules: [{kind: TCPRoute, name: r}]
      sources: [{kind: ServiceAccount, name: web, namespace: front}]
    """

  @Test(
    "each version is read; the namespace is the target's own where none is said",
    arguments: [
      "v1alpha2", "v1alpha3", "v1alpha4",
    ])
  func versions(version: String) throws {
    let result = target(Self.whole, version)
    #expect(result.errors == [])
    guard case .trafficTarget(let value)? = result.objects.first?.value else { throw Missing() }
    #expect(value.destination == .init(kind: .serviceAccount, name: "orders", namespace: "shop"))
    #expect(value.sources == [.init(kind: .serviceAccount, name: "web", namespace: "front")])
    #expect(value.rules == [.init(kind: .tcpRoute, name: "r")])
  }

  struct Missing: Error {}

  @Test(
    "what a version does not have is refused at its place",
    arguments: [
      ("v1alpha3", "{kind: ServiceAccount, name: o, port: 80}", "spec.destination.port"),
      ("v1alpha4", "{kind: ServiceAccount, name: o, port: 80}", "spec.destination.port"),
      ("v1alpha3", "{kind: IdentityBinding, name: o}", "spec.destination.kind"),
      ("v1alpha3", "{kind: ServiceAccount, name: o, group: \"\"}", "spec.destination.group"),
      ("v1alpha4", "{kind: IdentityBinding, group: apps, name: o}", "spec.destination.group"),
      ("v1alpha4", "{kind: Service, name: o}", "spec.destination.kind"),
      ("v1alpha4", "{kind: ServiceAccount}", "spec.destination.name"),
    ])
  func refusals(version: String, destination: String, field: String) {
    let body = Self.whole.replacing("{kind: ServiceAccount, name: orders}", with: destination)
    #expect(target(body, version).errors.map(\.field) == [field])
  }

  @Test("a target has a destination, a rule and a source", arguments: ["destination", "rules", "sources"])
  func required(name: String) {
    let lines = Self.whole.split(separator: "\n").filter { !$0.contains("  \(name):") }
    #expect(target(lines.joined(separator: "\n")).errors.map(\.field) == ["spec.\(name)"])
    guard name != "destination" else { return }
    #expect(target(lines.joined(separator: "\n") + "\n  \(name): []").errors.map(\.field) == ["spec.\(name)"])
  }

  @Test("a binding has one scheme or several, but not labels and an account") func bindings() throws {
    func read(_ schemes: String) -> ManifestParser.Result {
      parse("IdentityBinding", "spec: {schemes: \(schemes)}", "access.smi-spec.io/v1alpha4")
    }
    let result = read(
      "{serviceAccount: web, spiffeIdentities: [cluster.local/ns/a/sa/b, \"spiffe://other/ns/a/sa/b\"]}")
    guard case .identityBinding(let binding)? = result.objects.first?.value else { throw Missing() }
    #expect(binding.identities == ["spiffe://cluster.local/ns/a/sa/b", "spiffe://other/ns/a/sa/b"])
    #expect(binding.serviceAccount == "web" && result.errors == [])
    for (schemes, field) in [
      ("{serviceAccount: web, podLabelSelector: {matchLabels: {a: b}}}", "spec.schemes.serviceAccount"),
      ("{}", "spec.schemes"), ("{spiffeIdentities: []}", "spec.schemes.spiffeIdentities"),
      ("{spiffeIdentities: [\"a/*\"]}", "spec.schemes.spiffeIdentities[0]"),
      ("{podLabelSelector: {matchLabels: {}}}", "spec.schemes.podLabelSelector.matchLabels"),
    ] {
      let errors = read(schemes).errors.filter { $0.severity == .error }
      #expect(errors.map(\.field).contains(field), "\(schemes): \(errors)")
    }
    // The specification's own example: an id that nobody here can have.
    let foreign = read("{spiffeIdentities: [federated.trustdomain/boundary/name/type/id]}")
    #expect(foreign.errors.map(\.severity) == [.warning] && foreign.objects.count == 1)
  }

  // MARK: - ExternalAuthorizer

  private func authorizer(_ spec: String) -> ManifestParser.Result {
    parse("ExternalAuthorizer", "spec: {\(spec)}", "mesh.apus.dev/v1alpha1")
  }

  @Test("an authorizer has its defaults, and every field is read") func authorizers() throws {
    guard
      case .externalAuthorizer(let bare)? = authorizer("service: {name: opa, port: 9191}, grpc: {}").objects.first?
        .value
    else { throw Missing() }
    let service = ServicePort(service: ServiceName(name: "opa", namespace: "shop"), port: 9_191)
    #expect(bare.authorizer == ExternalAuthorizer(service: service, wire: .grpc(.init())))
    #expect(bare.authorizer.timeout == .milliseconds(200) && bare.authorizer.failure == .deny(status: 403))
    let text = """
      service: {name: opa, namespace: sec, port: 80}, timeout: 1s, onFailure: allow, headers: [Cookie],
      body: {maximumBytes: 100, allowPartial: true},
      http: {pathPrefix: /check, upstreamHeaders: [X-User], clientHeadersOnAllow: [set-cookie], clientHeadersOnDeny: [x-why]}
      """
    guard case .externalAuthorizer(let whole)? = authorizer(text.replacing("\n", with: " ")).objects.first?.value else {
      throw Missing()
    }
    let other = ServicePort(service: ServiceName(name: "opa", namespace: "sec"), port: 80)
    #expect(
      whole.authorizer
        == ExternalAuthorizer(
          service: other,
          wire: .http(
            .init(
              pathPrefix: "/check", requestFields: ["x-user"], responseFields: ["set-cookie"], denialFields: ["x-why"])),
          timeout: .seconds(1), failure: .allow, fields: ["cookie"], content: .init(maximumBytes: 100, allowsPart: true)
        ))
  }

  @Test(
    "mistakes are told at their place",
    arguments: [
      ("service: {name: opa, port: 1}", "spec"), ("service: {name: opa, port: 1}, grpc: {}, http: {}", "spec"),
      ("service: {name: opa}, grpc: {}", "spec.service.port"), ("grpc: {}", "spec.service"),
      ("service: {name: opa, port: 1}, grpc: {}, timeout: 0s", "spec.timeout"),
      ("service: {name: opa, port: 1}, grpc: {}, onFailure: maybe", "spec.onFailure"),
      ("service: {name: opa, port: 1}, grpc: {}, onFailure: allow, failureStatus: 503", "spec.failureStatus"),
      ("service: {name: opa, port: 1}, grpc: {}, failureStatus: 200", "spec.failureStatus"),
      ("service: {name: opa, port: 1}, grpc: {}, headers: [host]", "spec.headers[0]"),
      ("service: {name: opa, port: 1}, grpc: {}, body: {}", "spec.body.maximumBytes"),
      ("service: {name: opa, port: 1}, http: {pathPrefix: check}", "spec.http.pathPrefix"),
      ("service: {name: opa, port: 1}, http: {}, body: {maximumBytes: 1, raw: true}", "spec.body"),
      ("service: {name: opa, port: 1}, grpc: {}, cache: 1s", "spec.cache"),
    ])
  func mistakes(spec: String, field: String) {
    let result = authorizer(spec)
    #expect(result.errors.filter { $0.severity == .error }.map(\.field) == [field], "\(result.errors)")
    #expect(result.objects.isEmpty)
  }
}
