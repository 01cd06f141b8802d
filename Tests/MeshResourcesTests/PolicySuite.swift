import MeshResources
import Testing

/// A policy with one mistake, at the place of the mark `§`, and what is told of it.
struct PolicyMistake: Sendable, CustomTestStringConvertible {
  var text: String
  var expected: String
  var testDescription: String { expected }

  init(_ field: String, _ message: String, _ spec: String, namespace: String = "shop") {
    let marked = MarkedManifest(
      """
      apiVersion: mesh.apus.dev/v1alpha1
      kind: TrafficPolicy
      metadata: {name: orders, namespace: \(namespace)}
      spec:
        \(spec)

      """)
    text = marked.text
    expected = "\(marked.place): TrafficPolicy \(namespace)/orders: spec.\(field): \(message)"
  }

  static func target(_ field: String, _ message: String, _ target: String, namespace: String = "shop") -> PolicyMistake
  {
    PolicyMistake(field, message, "targetRefs: [\(target)]\n  limits: {connections: 1}", namespace: namespace)
  }

  static func block(_ field: String, _ message: String, _ block: String) -> PolicyMistake {
    PolicyMistake(field, message, "targetRefs: [{group: \"\", kind: Service, name: orders}]\n  \(block)")
  }

  static func ofRoute(_ field: String, _ block: String) -> PolicyMistake {
    PolicyMistake(
      field,
      "is for the endpoints of a service, which all routes to it share; spec.targetRefs[0] is an HTTPRoute; "
        + "write it in a policy whose target is the Service",
      "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]\n  \(block)")
  }
}

/// A suite about what stands in TrafficPolicies.
protocol PolicySuite {}

extension PolicySuite {
  /// Of a policy for a service that has this block.
  func settings(_ block: String) throws -> [PolicySetting] {
    let result = ManifestParser.parse(file: "f.yaml", text: PolicyMistake.block("", "", block).text)
    #expect(result.errors.map(\.description) == [])
    guard case .trafficPolicy(let policy) = try #require(result.objects.first).value else { return [] }
    return policy.settings
  }

  /// The mistake is the only one that is told, and the policy is refused for it.
  func check(_ mistake: PolicyMistake) {
    let result = ManifestParser.parse(file: "f.yaml", text: mistake.text)
    #expect(result.errors.map(\.description) == [mistake.expected])
    #expect(result.objects.isEmpty)
    #expect(result.rejected.map(\.value.key.name) == ["orders"])
  }
}
