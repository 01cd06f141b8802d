import MeshCore
import Testing

@Suite struct ServiceNameTests {
  @Test(
    "all spellings of a service mean the same",
    arguments: [
      "orders", "orders.shop", "orders.shop.svc", "orders.shop.svc.cluster.local", "Orders.SHOP.", "orders.shop.svc.",
    ])
  func spellings(host: String) {
    #expect(ServiceName(host: host, namespace: "shop") == ServiceName(name: "orders", namespace: "shop"))
  }

  @Test(
    "a host that names no service is nil",
    arguments: [
      "", ".", "localhost", "127.0.0.1", "a.b.c", "a..b", "-a.b", "a-.b", "a_b.c", "a.1", "or\u{212A}.shop",
      "\u{E9}.shop",
      String(repeating: "a", count: 64) + ".shop",
    ])
  func rejected(host: String) {
    #expect(ServiceName(host: host, namespace: "shop") == nil)
  }

  @Test("a namespace may be called svc, as DNS would have it")
  func namespaceSvc() {
    let name = ServiceName(name: "orders", namespace: "svc")
    #expect(ServiceName(host: "orders.svc", namespace: "shop") == name)
    #expect(ServiceName(host: name.description, namespace: "shop") == name)
    #expect(ServiceName(host: "orders.svc.svc.cluster.local", namespace: "shop") == name)
    #expect(ServiceName(host: "orders.svc.cluster.local", namespace: "shop") == nil)
  }

  @Test("a service port reads what it writes")
  func port() {
    let port = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
    #expect(ServicePort(port.description) == port)
    #expect(ServicePort("orders.shop.svc.cluster.local:80") == port)
  }

  @Test(
    "a service port needs a namespace and a plain number",
    arguments: [
      "orders:80", "orders.shop", "orders.shop:", "orders.shop:0", "orders.shop:65536",
      "orders.shop:+80",
      "orders.shop:-1", "orders.shop:8o", ":80",
    ])
  func rejectedPort(text: String) {
    #expect(ServicePort(text) == nil)
  }

  @Test("services are ordered by namespace first")
  func order() {
    let names = ["b.a", "a.b", "a.a"].compactMap { ServiceName(host: $0, namespace: "") }
    #expect(names.sorted().map(\.description) == ["a.a", "b.a", "a.b"])
  }

  @Test(
    "one label more names an endpoint of a headless service, where that is asked for",
    arguments: ["db-0.db.shop", "db-0.db.shop.svc", "DB-0.db.shop.svc.cluster.local."])
  func endpointName(host: String) {
    #expect(ServiceName(host: host, namespace: "web") == nil)
    let name = ServiceName(host: host, namespace: "web", endpoints: .any)
    #expect(name == ServiceName(name: "db-0.db", namespace: "shop"))
    #expect(name?.description == "db-0.db.shop")
    #expect(ServicePort("db-0.db.shop:80")?.service == name)
    // Hosts of clients' requests may be anywhere.
    let asked = ServicePort(authority: "\(host):80", namespace: "web", defaultPort: 1)?.service
    #expect(asked == (host.contains("svc") ? name : nil))
    #expect(ServiceName(host: "a.\(host)", namespace: "web", endpoints: .any) == nil)
  }
}
