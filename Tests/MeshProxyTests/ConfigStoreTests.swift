import MeshAPI
import MeshCore
import MeshPolicy
import Testing

@testable import MeshProxy

@Suite("What the control thread knows")
struct ConfigStoreTests {
  private static func service(_ backends: ServicePort...) -> MeshResource {
    .service(
      ServiceConfig(
        key: .orders, appProtocol: .http,
        rules: [RouteRule(name: "r", backends: backends.map { WeightedBackend(backend: $0, weight: 1) })]))
  }

  private static func endpoints(_ key: ServicePort, _ ports: UInt16...) -> MeshResource {
    .endpoints(
      EndpointSet(
        key: key, endpoints: ports.map { Endpoint(address: .loopback(port: $0), workload: "w", identity: nil) }))
  }

  @Test("the control plane is asked once for a service")
  func subscribes() {
    var store = ConfigStore()
    let answers = [store.subscribe(.orders), store.subscribe(.orders), store.subscribe(.other)]
    #expect(answers == [true, false, true])
    #expect(store.answer(for: .orders) == nil)
  }

  @Test("what may be a name of the DNS is told to whoever asks, until the mesh knows better")
  func outside() {
    var store = ConfigStore()
    let key = DiscoveryKey.service(.orders)
    #expect(store.apply([], removed: [key], outside: [.orders]).outside == [.orders])
    #expect(store.answer(for: .orders)?.outside == [.orders])
    #expect(store.apply([], removed: [key]).outside == [])
    #expect(store.answer(for: .orders)?.services.count == 1 && store.answer(for: .orders)?.outside == [])
  }

  @Test("a service is held back until the endpoints of all its backends are known")
  func heldBack() {
    var store = ConfigStore()
    let first = store.apply([(Self.service(.orders, .other), 1)], removed: [])
    #expect(first.services.isEmpty)
    #expect(store.answer(for: .orders) == nil)
    let second = store.apply([(Self.endpoints(.orders, 1), 2)], removed: [])
    #expect(second.services.isEmpty)
    #expect(second.endpoints.map(\.0) == [.orders])
    let third = store.apply([(Self.endpoints(.other), 3)], removed: [])
    #expect(third.services.map(\.0) == [.orders])
    #expect(third.services.first?.1 != nil)
    let answer = store.answer(for: .orders)
    #expect(answer?.endpoints.map(\.0) == [.orders, .other])
    #expect(answer?.services.map(\.0) == [.orders])
  }

  @Test("a backend that does not exist holds nothing back")
  func missingBackend() {
    var store = ConfigStore()
    let update = store.apply([(Self.service(.other), 1)], removed: [.endpoints(.other)])
    #expect(update.services.map(\.0) == [.orders])
    #expect(update.endpoints.map(\.0) == [.other])
    #expect(update.endpoints.first?.1 == nil)
  }

  @Test("a backend that is refused by its rule needs no endpoints")
  func refusedBackend() {
    var store = ConfigStore()
    let rule = RouteRule(name: "r", backends: [WeightedBackend(backend: .other, weight: 1, failureStatus: 500)])
    let config = ServiceConfig(key: .orders, appProtocol: .http, rules: [rule])
    let update = store.apply([(.service(config), 1)], removed: [])
    #expect(update.services.count == 1)
  }

  @Test("new endpoints of a known backend travel alone")
  func endpointsAlone() {
    var store = ConfigStore()
    _ = store.apply([(Self.service(.orders), 1), (Self.endpoints(.orders, 1), 2)], removed: [])
    let update = store.apply([(Self.endpoints(.orders, 1, 2), 3)], removed: [])
    #expect(update.services.isEmpty)
    #expect(update.endpoints.first?.1?.endpoints.count == 2)
  }

  @Test("a new version of a service whose backend is new waits; the old one stays in force until then")
  func newVersion() {
    var store = ConfigStore()
    let first = store.apply([(Self.service(.orders), 1), (Self.endpoints(.orders, 1), 2)], removed: [])
    #expect(first.services.count == 1)
    let second = store.apply([(Self.service(.orders, .other), 3)], removed: [])
    #expect(second.services.isEmpty)
    let third = store.apply([(Self.endpoints(.other, 9), 4)], removed: [])
    #expect(third.services.count == 1)
  }

  @Test("a removed service is missing for those who ask later, until it comes back")
  func removed() {
    var store = ConfigStore()
    _ = store.apply([(Self.service(.orders), 1), (Self.endpoints(.orders, 1), 2)], removed: [])
    let update = store.apply([], removed: [.service(.orders)])
    #expect(update.services.map(\.0) == [.orders])
    #expect(update.services.first?.1 == nil)
    let answer = store.answer(for: .orders)
    #expect(answer?.services.count == 1)
    #expect(answer?.services.first?.1 == nil)
    let again = store.apply([(Self.service(.orders), 5)], removed: [])
    #expect(again.services.first?.1 != nil)
    #expect(store.answer(for: .orders)?.services.first?.1 != nil)
  }

  @Test("the hashes for a resumption name what is held, in its newest version")
  func hashes() {
    var store = ConfigStore()
    _ = store.apply([(Self.service(.orders), 1), (Self.endpoints(.orders, 1), 2)], removed: [])
    _ = store.apply([(Self.endpoints(.orders), 7)], removed: [])
    #expect(store.hashes == [.service(.orders): 1, .endpoints(.orders): 7])
    _ = store.apply([], removed: [.endpoints(.orders)])
    #expect(store.hashes == [.service(.orders): 1])
  }
}
