import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Workload objects") struct WorkloadDecodingTests {
  private func parse(_ spec: String, labels: String = "{app: db}") -> ManifestParser.Result {
    ManifestParser.parse(
      file: "f.yaml",
      text: """
        apiVersion: mesh.apus.dev/v1alpha1
        kind: Workload
        metadata: {name: db, labels: \(labels)}
        spec: {address: 10.0.0.9, ports: [{name: main, port: 5432}]\(spec)}
        """)
  }

  private func workload(_ spec: String) throws -> Workload? {
    let result = parse(spec)
    #expect(result.errors.map(\.description) == [])
    guard case .workload(let workload) = try #require(result.objects.first).value else { return nil }
    return workload
  }

  @Test("fields have their defaults, or every value that is written") func fields() throws {
    let bare = try #require(try workload(""))
    #expect(bare.weight == 1 && bare.ready && bare.healthCheck == nil && bare.serviceAccount == nil)
    #expect(bare.labels == ["app": "db"])
    let full = try #require(
      try workload(
        ", serviceAccount: db, labels: {tier: x}, zone: west-1, weight: 7, ready: false, "
          + "healthCheck: {tcp: {}, interval: 1s}"))
    var check = HealthCheckPolicy(probe: .tcp)
    check.interval = .seconds(1)
    #expect(full.weight == 7 && !full.ready && full.healthCheck == check && full.serviceAccount == "db")
    #expect(full.labels == ["app": "db", "tier": "x", "topology.kubernetes.io/zone": "west-1"])
  }

  @Test(
    "mistakes have their field and text",
    arguments: [
      (", weight: 0", "spec.weight: must be a whole number from 1 to 1000000, not 0"),
      (", healthCheck: {}", "spec.healthCheck: must have exactly one probe; write one of http, grpc and tcp"),
      (
        ", healthCheck: {enabled: false}",
        "spec.healthCheck.enabled: a Workload's own check is not there, or on; remove the block"
      ),
      (
        ", zone: a, labels: {topology.kubernetes.io/zone: b}",
        "spec.zone: the label topology.kubernetes.io/zone says b; remove one of the two"
      ),
      (", ready: maybe", "spec.ready: must be true or false, not text"),
    ])
  func mistakes(_ spec: String, _ expected: String) {
    let result = parse(spec)
    #expect(result.errors.map { "\($0.field): \($0.message)\($0.fix.isEmpty ? "" : "; \($0.fix)")" } == [expected])
  }
}
