import MeshResources
import Testing

/// A manifest with one mistake, and the line that `apus validate` prints for it.
struct Mistake: Sendable, CustomTestStringConvertible {
  var text: String
  var expected: String
  var testDescription: String { expected }

  init(_ expected: String, _ text: String) {
    self.text = text
    self.expected = expected
  }
}

private let service = """
  apiVersion: v1
  kind: Service
  metadata: {name: orders, namespace: shop}

  """

private let route = """
  apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: orders, namespace: shop}
  spec:
    parentRefs: [{group: "", kind: Service, name: orders}]

  """

private let split = """
  kind: TrafficSplit
  metadata: {name: orders, namespace: shop}
  spec:
    service: orders

  """

@Suite("Problems in manifests")
struct ManifestProblemTests {
  @Test(
    "a mistake is told with its place, object, field and fix",
    arguments: [
      Mistake(
        "f.yaml:5:3: Service shop/orders: spec.prots: is not a field of this object; did you mean ports?",
        service + "spec:\n  prots: []\n  ports: [{port: 80}]\n"),
      Mistake(
        "f.yaml:5:18: Service shop/orders: spec.ports[0].port: must be a whole number from 1 to 65535, not 70000",
        service + "spec:\n  ports: [{port: 70000}]\n"),
      Mistake(
        "f.yaml:5:18: Service shop/orders: spec.ports[0].port: must be a number, not text; write 80 without quotes",
        service + "spec:\n  ports: [{port: \"80\"}]\n"),
      Mistake(
        "f.yaml:5:3: Service shop/orders: spec.externalName: is required; write the name that this Service stands for",
        service + "spec:\n  type: ExternalName\n"),
      Mistake(
        "f.yaml:6:17: Service shop/orders: spec.externalName: \"10.0.0.1\" is not a name of the DNS; "
          + "write a name such as orders.shop.svc.cluster.local",
        service + "spec:\n  type: ExternalName\n  externalName: 10.0.0.1\n"),
      Mistake(
        "f.yaml:5:23: Service shop/orders: spec.selector.version: must be text, not the number 1; "
          + "write \"1\" in quotes",
        service + "spec:\n  selector: {version: 1}\n  ports: [{port: 80}]\n"),
      Mistake(
        "f.yaml:5:3: Service shop/orders: spec.ports: is required; list at least one port",
        service + "spec:\n  selector: {app: orders}\n"),
      Mistake(
        "f.yaml:3:18: Service shop/My_Service: metadata.name: \"My_Service\" must be a DNS label: "
          + "1 to 63 of a-z, 0-9 and \"-\", beginning and ending with a letter or digit; write my-service",
        "apiVersion: v1\nkind: Service\nmetadata: {name: My_Service, namespace: shop}\nspec: {ports: [{port: 80}]}\n"),
      Mistake(
        "f.yaml:8:21: HTTPRoute shop/orders: spec.rules[0].matches[0].path.value: \"orders\" must begin with /; "
          + "write \"/orders\"",
        route + "  rules:\n  - matches:\n    - path: {value: orders}\n"),
      Mistake(
        "f.yaml:7:19: HTTPRoute shop/orders: spec.rules[0].backendRefs[0].port: is required; name the Service's port",
        route + "  rules:\n  - backendRefs: [{ name: orders}]\n"),
      Mistake(
        "f.yaml:7:25: HTTPRoute shop/orders: spec.rules[0].matches[0].method: \"get\" is not a known value; "
          + "did you mean GET?",
        route + "  rules:\n  - matches: [{method:  get}]\n"),
      Mistake(
        "f.yaml:6:24: TrafficSplit shop/orders: spec.backends[0].service: a split cannot send to its own root service; "
          + "name a service of its own for this version",
        "apiVersion: split.smi-spec.io/v1alpha4\n" + split + "  backends: [{service: orders, weight: 1}]\n"),
      Mistake(
        "f.yaml:1:1: Servce shop/orders: v1 Servce is not known; did you mean kind: Service?",
        service.replacing("kind: Service", with: "kind: Servce")),
      Mistake(
        "f.yaml:1:1: HTTPRoute shop/orders: v1 HTTPRoute is not known; write apiVersion: gateway.networking.k8s.io/v1",
        service.replacing("kind: Service", with: "kind: HTTPRoute")),
      Mistake(
        "f.yaml:1:1: TrafficMetrics shop/orders: metrics.smi-spec.io/v1alpha1 TrafficMetrics is not supported yet; "
          + "remove the document",
        service.replacing("v1", with: "metrics.smi-spec.io/v1alpha1").replacing("Service", with: "TrafficMetrics")),
      Mistake(
        "f.yaml:1:1: Deployment shop/orders: warning: Deployment is not used by Apus on one machine",
        service.replacing("v1", with: "apps/v1").replacing("Service", with: "Deployment") + "spec: {replicas: 2}\n"),
      Mistake(
        "f.yaml:2:1: found a tab character that violates indentation (while scanning a plain scalar on line 1); "
          + "indent with spaces",
        "apiVersion: v1\n\tkind: Service\n"),
      Mistake(
        "f.yaml:1:1: the key \"kind\" stands more than once in this mapping; keep one of them",
        "kind: Service\napiVersion: v1\nkind: Service\n"),
      Mistake(
        "f.yaml:1:1: the document has keys that are not text; write each key as text",
        "? {a: 1}\n: x\n? {a: 2}\n: x\n? {a: 1}\n: x\n? {a: 2}\n: x\n"),
    ])
  func mistake(_ mistake: Mistake) {
    let result = ManifestParser.parse(file: "f.yaml", text: mistake.text)
    #expect(result.errors.map(\.description) == [mistake.expected])
    #expect(result.objects.isEmpty)
  }

  @Test("a regular expression that cannot be matched in linear time is refused at its place")
  func regularExpression() {
    let text = route + "  rules:\n  - matches: [{path: {type: RegularExpression, value: \"(a\"}}]\n"
    let problem = ManifestParser.parse(file: "f.yaml", text: text).errors.first
    #expect(problem?.field == "spec.rules[0].matches[0].path.value")
    #expect(problem?.line == 7 && problem?.column == 55)
  }

  @Test("a header value with a line break is refused")
  func headerInjection() {
    let text =
      route + "  rules:\n  - filters:\n    - type: RequestHeaderModifier\n      requestHeaderModifier:\n"
      + "        set: [{name: x-a, value: \"a\\r\\nx-b: c\"}]\n"
    #expect(
      ManifestParser.parse(file: "f.yaml", text: text).errors.map(\.message)
        == ["must not contain control characters such as line breaks"])
  }

  @Test("status, annotations and fields that servers write pass", arguments: ["v1", "v1beta1"])
  func serverFields(version: String) {
    let text = """
      apiVersion: gateway.networking.k8s.io/\(version)
      kind: HTTPRoute
      metadata:
        name: orders
        uid: 7b0c
        creationTimestamp: 2026-01-31T12:00:00Z
        annotations: {any.example/thing: "x"}
        managedFields: [{manager: kubectl}]
      spec:
        parentRefs: [{group: core, kind: Service, name: orders}]
      status: {parents: []}
      """
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.errors.isEmpty)
    #expect(result.objects.first?.value.metadata.creationTime == 1_769_860_800)
    #expect(result.objects.first?.value.metadata.namespace == "default")
  }
}
