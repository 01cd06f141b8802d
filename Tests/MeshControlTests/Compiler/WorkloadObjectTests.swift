import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

@Suite("Programs outside apus run") struct WorkloadObjectTests {
  private func object(_ spec: String = "", name: String = "db", labels: String = "{app: orders}") -> String {
    """
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: Workload
    metadata: {name: \(name), namespace: shop, labels: \(labels)}
    spec: {address: 10.0.0.9, ports: [{port: 8080}]\(spec)}

    """
  }

  private func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests))
  }

  private func endpoint(_ mesh: CompiledMesh) -> Endpoint? {
    mesh.endpoints[MeshFixture.port("orders")]?.endpoints.first
  }

  @Test("a Workload is an endpoint of the Services that select it, with its weight, zone and check") func endpoints() {
    let mesh = compile(object(", serviceAccount: db, zone: west-1, weight: 3, healthCheck: {tcp: {}}"))
    #expect(
      endpoint(mesh)
        == Endpoint(
          address: SocketAddress(ipv4: 0x0A00_0009, port: 8080), workload: "db",
          identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "db"),
          labels: ["app": "orders", "topology.kubernetes.io/zone": "west-1"], weight: 3,
          locality: Locality(zone: "west-1"), healthCheck: HealthCheckPolicy(probe: .tcp)))
    #expect(mesh.endpoints[MeshFixture.port("orders-v1")]?.endpoints == [])
    #expect(endpoint(compile(object()))?.identity == nil)
  }

  @Test("one that is reported not to be ready is in no set") func unready() {
    let mesh = compile(object(", ready: false"))
    #expect(endpoint(mesh) == nil)
    #expect(mesh.unready[MeshFixture.port("orders")]?.map(\.workload) == ["db"])
  }

  @Test("what differs in weight or check has another hash") func hashes() {
    let hashes = ["", ", weight: 2", ", healthCheck: {tcp: {}}", ", healthCheck: {grpc: {}}"].map {
      compile(object($0)).hashes[.endpoints(MeshFixture.port("orders"))]
    }
    #expect(Set(hashes).count == 4)
  }

  private func status(_ manifests: String) -> [String] {
    compile(manifests).routes.filter { $0.key.kind == "Workload" }.flatMap(\.conditions).map {
      "\($0.kind.rawValue) \($0.isTrue) \($0.reason): \($0.message)"
    }
  }

  @Test("its status says whose endpoint it is, how it is asked, and how it is spoken to") func status() {
    #expect(
      status(object()) == [
        "Accepted true Accepted: an endpoint of orders.shop:80",
        "Ready true Reported: nothing else is said; clients' proxies leave it out while its requests fail",
        "Meshed false Plaintext: no serviceAccount, so no proxy is beside it: it is spoken to in plaintext and proves no "
          + "identity",
      ])
    #expect(
      status(object(", serviceAccount: db, healthCheck: {http: {path: /up}}", labels: "{app: none}")) == [
        "Accepted true Accepted: no Service selects it, so it gets no requests",
        "Ready true Checked: each client's proxy asks it itself: GET /up every 10s, timeout 1s",
        "Meshed true MutualTLS: the proxy beside it is spoken to on port 15008 and has to prove to be "
          + "spiffe://cluster.local/ns/shop/sa/db",
      ])
    #expect(
      status(object(", ready: false"))[1] == "Ready false Reported: spec.ready is false: it gets no requests")
  }

  @Test("one that no Service selects is a finding") func unused() {
    func findings(_ labels: String) -> [Finding] {
      MeshAnalysis.findings(MeshFixture.snapshot(MeshFixture.orders + object(labels: labels)), isLive: true)
        .filter { $0.code == .workloadUnused }
    }
    #expect(findings("{app: none}").map(\.object) == ["Workload shop/db"])
    #expect(findings("{app: orders}") == [])
  }
}
