import MeshAPI
import MeshCore
import MeshPolicy
import Testing

@testable import MeshControl

@Suite struct ConfigViewTests {
  private static let manifests =
    MeshFixture.orders
    + MeshFixture.route("orders", rules: "[{backendRefs: [{name: orders-v1, port: 80}, {name: gone, port: 80}]}]")
    + MeshFixture.route(
      "own", namespace: "web", parents: ["name: orders, namespace: shop"],
      rules: "[{backendRefs: [{name: orders-v2, namespace: shop, port: 80}]}]")

  private static func messages(_ namespace: String, _ services: [ServicePort]) throws -> [Apus_V1_ConfigResponse] {
    let workloads = [
      MeshFixture.workload("v1-1", service: "orders", host: 3, labels: ["version": "v1"]),
      MeshFixture.workload("v1-2", service: "orders", host: 4, labels: ["version": "v1"], ready: false),
    ]
    let mesh = MeshCompiler.compile(MeshFixture.snapshot(manifests, workloads: workloads))
    var snapshot = DistributionSnapshot(configTime: 1)
    snapshot.apply(mesh, CompiledMesh.difference(from: .empty, to: mesh))
    return ConfigView(snapshot: snapshot, compiled: mesh, namespace: namespace).messages(services)
  }

  private static func rules(_ parts: [Apus_V1_ConfigResponse]) throws -> [String] {
    try parts.flatMap(\.resources).flatMap { resource -> [String] in
      if case .service(let config) = try MeshResource(resource) { config.rules.map(\.name) } else { [] }
    }
  }

  private static let orders = MeshFixture.port("orders")

  @Test("clients of a namespace with consumer routes see those, everyone else the producers'") func views() throws {
    #expect(try Self.rules(Self.messages("shop", [Self.orders])) == ["httproute/shop/orders#0"])
    #expect(try Self.rules(Self.messages("", [Self.orders])) == ["httproute/shop/orders#0"])
    let own = try Self.messages("web", [Self.orders])
    #expect(try Self.rules(own) == ["httproute/web/own#0"])
    #expect(own.flatMap(\.consumers).map(\.namespace) == ["web"])
  }

  @Test("the endpoints of backends and of the service itself come along, and those that are not ready apart")
  func endpoints() throws {
    let parts = try Self.messages("shop", [Self.orders])
    let sets = try parts.flatMap(\.resources).compactMap { resource -> EndpointSet? in
      if case .endpoints(let set) = try MeshResource(resource) { set } else { nil }
    }
    #expect(Set(sets.map(\.key)) == [Self.orders, MeshFixture.port("orders-v1")])
    #expect(sets.allSatisfy { $0.endpoints.map(\.workload) == ["v1-1"] })
    let unready = try parts.flatMap(\.unready).map { try MeshResource($0).key }
    #expect(Set(unready) == [.endpoints(Self.orders), .endpoints(MeshFixture.port("orders-v1"))])
  }

  @Test("a service that does not exist is left out") func missing() throws {
    #expect(try Self.rules(Self.messages("shop", [MeshFixture.port("gone")])) == [])
  }
}
