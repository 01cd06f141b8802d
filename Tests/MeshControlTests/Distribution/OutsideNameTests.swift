import MeshAPI
import MeshControl
import MeshCore
import SwiftProtobuf
import Testing

@Suite("Names that may be of the DNS") struct OutsideNameTests {
  private static let example = DiscoveryKey.service(
    ServicePort(service: ServiceName(name: "example", namespace: "com"), port: 80))
  private static let mistyped = DiscoveryKey.service(
    ServicePort(service: ServiceName(name: "ordres", namespace: "shop"), port: 80))

  @Test("a service that is not there is told with whether its namespace is, and again when that changes")
  func outside() throws {
    var session = DiscoverySession(workload: "web-1", namespace: "shop")
    var snapshot = DistributionSnapshot(configTime: 1)
    snapshot.namespaces = ["shop"]
    _ = try session.receive(.with { $0.hello.proxyID = "web-1" })
    _ = try session.receive(
      .with { $0.subscribe.names = [Self.example, Self.mistyped].map(Apus_V1_ResourceName.init) })
    let first = try #require(session.delta(to: snapshot).first)
    #expect(first.removed.contains(Apus_V1_ResourceName(Self.mistyped)))
    #expect(first.outside == [Apus_V1_ResourceName(Self.example)])
    #expect(session.delta(to: snapshot).isEmpty)
    snapshot.namespaces = ["shop", "com"]
    let second = try #require(session.delta(to: snapshot).first)
    #expect(second.removed == [Apus_V1_ResourceName(Self.example)] && second.outside == [])
    snapshot.namespaces = ["shop"]
    #expect(session.delta(to: snapshot).first?.outside == [Apus_V1_ResourceName(Self.example)])
    #expect(session.delta(to: snapshot).isEmpty)
  }
}
