import MeshResources
import Testing

@Suite("TrafficSplit versions")
struct TrafficSplitDecodingTests {
  @Test(
    "each version reads its own weights",
    arguments: [
      ("v1alpha1", "500m", "1", [500, 1000]), ("v1alpha1", "\"0.001\"", "0", [1, 0]),
      ("v1alpha2", "90", "10", [90, 10]),
      ("v1alpha3", "90", "10", [90, 10]), ("v1alpha4", "1", "0", [1, 0]),
    ])
  func weights(version: String, first: String, second: String, expected: [UInt32]) {
    let result = ManifestParser.parse(file: "f.yaml", text: manifest(version, first, second))
    #expect(result.errors.isEmpty)
    guard case .trafficSplit(let split) = result.objects.first?.value else {
      Issue.record("no split was read")
      return
    }
    #expect(split.service == "orders")
    #expect(split.backends.map(\.weight) == expected)
    #expect(split.backends.map(\.service) == ["orders-v1", "orders-v2"])
  }

  @Test("a quantity is refused from v1alpha2 on")
  func quantity() {
    let result = ManifestParser.parse(file: "f.yaml", text: manifest("v1alpha2", "500m", "1"))
    #expect(result.errors.map(\.field) == ["spec.backends[0].weight"])
    #expect(result.objects.isEmpty)
  }

  private func manifest(_ version: String, _ first: String, _ second: String) -> String {
    """
    apiVersion: split.smi-spec.io/\(version)
    kind: TrafficSplit
    metadata: {name: orders, namespace: shop}
    spec:
      service: orders.shop.svc.cluster.local
      backends:
      - {service: orders-v1, weight: \(first)}
      - {service: orders-v2, weight: \(second)}
    """
  }
}
