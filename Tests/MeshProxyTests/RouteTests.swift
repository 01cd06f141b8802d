import MeshCore
import MeshPolicy
import Testing

@testable import MeshProxy

@Suite("Routes of a service")
struct RouteTests {
  @Test("header filters change the request and the response")
  func filters() throws {
    let seen = Promise<Message>()
    let backend = Backend.answering {
      seen.put($0)
      return "HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Length: 0\r\n\r\n"
    }
    let filters = [
      HeaderFilter(
        direction: .request, set: [HeaderPair(name: "x-set", value: "new")],
        add: [HeaderPair(name: "x-add", value: "b")],
        remove: ["x-drop"]),
      HeaderFilter(direction: .response, add: [HeaderPair(name: "x-answer", value: "c")], remove: ["x-secret"]),
    ]
    let proxy = try TestProxy.serving([backend.address], rules: [.toOrders(filters: filters)])
    let answer = try proxy.connect().exchange(
      "GET / HTTP/1.1\r\nHost: orders\r\nX-Set: old\r\nX-Add: a\r\nX-Drop: 1\r\n\r\n")
    let request = try seen.get()
    #expect(request.values("x-set") == ["new"])
    #expect(request.values("x-add") == ["a", "b"])
    #expect(request.value("x-drop") == nil)
    #expect(answer.value("x-answer") == "c")
    #expect(answer.value("x-secret") == nil)
  }

  @Test("fields that the mesh uses on its own hops are not believed from a client, nor shown to one")
  func meshFields() throws {
    let seen = Promise<Message>()
    let backend = Backend.answering {
      seen.put($0)
      return "HTTP/1.1 200 OK\r\nx-apus-response-flag: UF\r\nContent-Length: 0\r\n\r\n"
    }
    let proxy = try TestProxy.serving([backend.address])
    let answer = try proxy.connect().exchange(
      "GET / HTTP/1.1\r\nHost: orders\r\nX-Apus-Target-Port: 1\r\n"
        + "x-apus-service: a.b:1\r\nx-apus-response-flag: UF\r\n\r\n")
    #expect(try !seen.get().head.lowercased().contains("x-apus"))
    #expect(!answer.head.lowercased().contains("x-apus"))
    #expect(answer.status == 200)
  }

  @Test("a request waits for the configuration of a service asked for first, and is then served")
  func waits() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy([.outboundProxy])
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHost: orders.shop.svc.cluster.local:80\r\n\r\n")
    #expect(try proxy.becomes { $0.services[.orders]?.waiting.count == 1 })
    proxy.configure([backend.address])
    #expect(try client.message().text == "b")
    #expect(proxy.asked.all == [.orders])
  }

  @Test("a new endpoint set takes over without a dropped request")
  func newEndpoints() throws {
    let (old, new) = (Backend.named("old"), Backend.named("new"))
    let proxy = try TestProxy.serving([old.address])
    let client = try proxy.connect()
    let get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
    #expect(try client.exchange(get).text == "old")
    proxy.configure([new.address])
    for _ in 0..<5 { #expect(try client.exchange(get).text == "new") }
  }

  @Test("an address given by the client is called as it is")
  func passThrough() throws {
    let backend = Backend.answering { request in
      let host = request.value("host") ?? ""
      return "HTTP/1.1 200 OK\r\nContent-Length: \(host.count)\r\n\r\n\(host)"
    }
    let proxy = try TestProxy([.outboundProxy])
    let authority = "127.0.0.1:\(backend.port)"
    let answer = try proxy.connect().exchange("GET http://\(authority)/a HTTP/1.1\r\nHost: other\r\n\r\n")
    #expect(answer.text == authority)
  }

  @Test("a request for the proxy's own listener is answered 508 instead of going round")
  func loop() throws {
    let proxy = try TestProxy([.outboundProxy])
    let own = "127.0.0.1:\(proxy.port())"
    let answer = try proxy.connect().exchange("GET http://\(own)/ HTTP/1.1\r\nHost: \(own)\r\n\r\n")
    #expect(answer.status == 508)
  }

  @Test("plaintext from outside the mesh reaches the workload's port, and a tunnel is refused")
  func inbound() throws {
    let backend = Backend.named("app")
    let proxy = try TestProxy([.inboundPlaintext])
    let port = InboundPortConfig(port: 8080, appProtocol: .http, service: .orders, application: backend.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    let client = try proxy.connect()
    #expect(try client.exchange("GET / HTTP/1.1\r\nHost: orders:8080\r\n\r\n").text == "app")
    #expect(try client.exchange("GET / HTTP/1.1\r\nHost: orders\r\n\r\n").text == "app")
    let refused = try client.exchange("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(refused.status == 405)
    #expect(try proxy.count("request_total", "direction=\"inbound\"", "dst_service=\"orders\"") == 2)
  }

  @Test("502 when the workload's own application does not listen")
  func applicationDown() throws {
    let nobody = ReservedPort()
    let proxy = try TestProxy([.inboundPlaintext])
    let port = InboundPortConfig(port: 8080, appProtocol: .http, service: .orders, application: nobody.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    let answer = try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: orders:8080\r\n\r\n")
    #expect(answer.status == 502)
    #expect(answer.text.contains("apus run"))
    #expect(try proxy.count("response_total", "response_flag=\"UF\"", "direction=\"inbound\"") == 1)
  }
}
