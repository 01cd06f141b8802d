import Foundation
import MeshCore
import MeshPolicy
import Testing

@testable import MeshControl

@Suite("Example manifests")
struct ExampleManifestTests {
  private let examples = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "examples")

  @Test("the shop splits orders 90 to 10, by TrafficSplit or by HTTPRoute, without a warning")
  func shop() {
    let shop = ManifestDirectory.load(directory: examples.appending(path: "shop").path)
    #expect(shop.problems.isEmpty)
    let mesh = MeshCompiler.compile(Snapshot(manifests: shop.objects))
    #expect(mesh.warnings.isEmpty)
    #expect(
      mesh.services.keys.map(\.service.name).sorted() == [
        "catalog", "orders", "orders-v1", "orders-v2", "payments", "web",
      ])
    let split = mesh.services[MeshFixture.port("orders")]?.rules ?? []
    #expect(split.map(\.name) == ["trafficsplit/shop/orders"])
    #expect(split.first?.backends.map(\.weight) == [90, 10])

    let route = ManifestDirectory.load(directory: examples.appending(path: "shop-httproute").path)
    #expect(route.problems.isEmpty)
    let both = MeshCompiler.compile(Snapshot(manifests: shop.objects.merging(route.objects) { a, _ in a }))
    let rules = both.services[MeshFixture.port("orders")]?.rules ?? []
    #expect(rules.map(\.name) == ["httproute/shop/orders#0", "httproute/shop/orders#1"])
    #expect(rules.last?.backends.map(\.weight) == [90, 10])
  }
}
