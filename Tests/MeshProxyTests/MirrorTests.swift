import MeshCore
import MeshHTTP
import MeshPolicy
import Synchronization
import Testing

@testable import MeshProxy

/// Copies of requests never change what becomes of the requests.
@Suite("Mirrors")
struct MirrorTests {
  private static let post = "POST /a?b HTTP/1.1\r\nHost: orders.shop\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello"
  private static let mirrored = "route_name=\"httproute/shop/orders#0/mirror\""

  /// Serves `orders` with `backend`, and mirrors to `mirror` as `other.shop`.
  private static func proxy(
    _ backend: Backend, mirror: SocketAddress, _ filter: RequestMirror = RequestMirror(backend: .other),
    filters: [RouteFilter] = [], limits: ProxyLimits = ProxyLimits()
  ) throws -> TestProxy {
    let rule = RouteRule.toOrders(routeFilters: filters + [.mirror(filter)])
    let proxy = try TestProxy.serving([backend.address], rules: [rule], limits: limits)
    let endpoint = Endpoint(address: mirror, workload: "other-0", identity: nil)
    proxy.apply(ConfigUpdate(endpoints: [(.other, EndpointSet(key: .other, endpoints: [endpoint]))]))
    return proxy
  }

  @Test("the mirror gets head and body as the rule's filters leave them, and its answer goes nowhere")
  func copies() throws {
    let (copies, originals) = (Promise<Message>(), Promise<Message>())
    let mirror = Backend.answering {
      copies.put($0)
      return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 6\r\n\r\nmirror"
    }
    let backend = Backend.answering {
      originals.put($0)
      return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    }
    let rewrite = RouteFilter.rewrite(URLRewrite(path: .full("/new")))
    let proxy = try Self.proxy(backend, mirror: mirror.address, filters: [rewrite])
    #expect(try proxy.connect().exchange(Self.post).text == "ok")
    let (copy, original) = (try copies.get(), try originals.get())
    #expect(copy.head == original.head)
    #expect(copy.startLine == "POST /new?b HTTP/1.1")
    #expect(copy.value("host") == "orders.shop")
    #expect(copy.text == "hello")
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(
      try proxy.count("response_total", Self.mirrored, "dst_service=\"other\"", "status_code=\"500\"") == 1)
    #expect(try proxy.count("response_total", "dst_service=\"orders\"", "status_code=\"200\"") == 1)
    #expect(try proxy.count("response_total", "dst_service=\"orders\"") == 1)
    #expect(try proxy.onLoop { $0.mirrorCount } == 0)
  }

  @Test("chunks and trailers are copied as they come, over HTTP/2")
  func trailers() throws {
    let copies = Promise<Message>()
    let mirror = Backend.answering {
      copies.put($0)
      return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    }
    let backend = Backend.named("b")
    let proxy = try Self.proxy(backend, mirror: mirror.address)
    let client = try HTTP2Peer(proxy.connect())
    let stream = try client.request(.post, "/", [("te", "trailers")], endStream: false)
    try client.send(Array("one".utf8), on: stream, endStream: false)
    try client.send(Array("two".utf8), on: stream, endStream: false)
    let trailers = MessageHead()
    trailers.append(name: "x-sum", value: "6")
    client.engine.sendTrailers(trailers, on: stream)
    try client.flush()
    #expect(try client.finish(stream).status == 200)
    #expect(try copies.get().text == "onetwo")
    #expect(try copies.get().trailers == "x-sum: 6")
  }

  @Test("a mirror that is not there changes nothing")
  func absent() throws {
    let (nobody, backend) = (ReservedPort(), Backend.named("b"))
    let proxy = try Self.proxy(backend, mirror: nobody.address)
    let client = try proxy.connect()
    for _ in 0..<3 { #expect(try client.exchange(Self.post).text == "b") }
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("response_total", Self.mirrored, "status_code=\"503\"") == 3)
    proxy.apply(ConfigUpdate(endpoints: [(.other, EndpointSet(key: .other, endpoints: []))]))
    #expect(try client.exchange(Self.post).text == "b")
    #expect(try proxy.count("response_total", "dst_service=\"orders\"", "status_code=\"200\"") == 4)
  }

  @Test("a mirror that does not read is given up, and the upload it would hold up goes through")
  func slow() throws {
    let done = Signal()
    let mirror = Backend(receiveBuffer: 4_096) { _, _ in done.wait() }
    let backend = Backend { peer, _ in
      let request = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\(request.body.count)")
    }
    let proxy = try Self.proxy(backend, mirror: mirror.address)
    let client = try proxy.connect()
    let size = 16_000_000
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: \(size)\r\n\r\n")
    try client.send([UInt8](repeating: 0x61, count: size))
    #expect(try client.message().text == "16000000")
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("limit_hits_total", "mirror_bytes") == 1)
    #expect(try proxy.count("response_total", Self.mirrored, "response_flag=\"LR\"") == 1)
    #expect(try proxy.onLoop { $0.bufferBudget.held } == 0)
    done.raise()
  }

  @Test("a share of the requests is mirrored")
  func share() throws {
    let (mirror, backend) = (Backend.named("m"), Backend.named("b"))
    let quarter = RequestMirror(backend: .other, numerator: 1, denominator: 4)
    let proxy = try Self.proxy(backend, mirror: mirror.address, quarter)
    let client = try proxy.connect()
    for _ in 0..<200 { #expect(try client.exchange(Self.post).text == "b") }
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try (47...53).contains(proxy.count("request_total", Self.mirrored)))
  }

  @Test("each mirror of a rule gets its copy")
  func several() throws {
    let (mirror, backend) = (Backend.named("m"), Backend.named("b"))
    let twice: [RouteFilter] = [.mirror(RequestMirror(backend: .other))]
    let proxy = try Self.proxy(backend, mirror: mirror.address, filters: twice)
    #expect(try proxy.connect().exchange(Self.post).text == "b")
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(try proxy.count("response_total", Self.mirrored, "status_code=\"200\"") == 2)
  }

  @Test("an upload that its client breaks off ends its copy, too")
  func brokenOff() throws {
    let (begun, cut) = (Signal(), Promise<Bool>())
    let mirror = Backend { peer, _ in
      _ = try peer.readThrough("start")
      begun.raise()
      cut.put(peer.isCut())
    }
    let backend = Backend { peer, _ in while !peer.isCut() {} }
    let proxy = try Self.proxy(backend, mirror: mirror.address)
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 100\r\n\r\nstart")
    #expect(begun.wait())
    client.reset()
    #expect(try cut.get())
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("upgrades are not mirrored")
  func upgrade() throws {
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      try peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
      _ = peer.isCut()
    }
    let mirror = Backend.named("m")
    let proxy = try Self.proxy(backend, mirror: mirror.address)
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHost: orders\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
    #expect(try client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 101"))
    #expect(try proxy.onLoop { $0.mirrorCount } == 0)
    #expect(mirror.connections == 0)
  }

  @Test("past the limit of copies under way a request goes without")
  func limit() throws {
    let (mirror, backend) = (Backend.named("m"), Backend.named("b"))
    let proxy = try Self.proxy(backend, mirror: mirror.address, limits: .with { $0.maximumMirrors = 0 })
    #expect(try proxy.connect().exchange(Self.post).text == "b")
    #expect(backend.connections == 1)
    #expect(mirror.connections == 0)
    #expect(try proxy.count("limit_hits_total", "limit=\"mirrors\"") == 1)
  }
}
