import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// Upgrades and CONNECT: bytes both ways, each direction with its own end.
@Suite("Tunnels")
struct TunnelTests {
  private static let upgrade =
    "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"

  /// Accepts the upgrade, sends a greeting, echoes until the end, then says goodbye and closes.
  private static func echo() -> Backend {
    Backend { peer, _ in
      let head = try peer.readThrough("\r\n\r\n").lowercased()
      guard head.contains("upgrade: websocket"), head.contains("connection: upgrade") else { return }
      try peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
      try echoUntilEnd(peer)
    }
  }

  private static func echoUntilEnd(_ peer: Peer) throws {
    while true {
      let bytes = try peer.receive()
      if bytes.isEmpty { break }
      try peer.send(bytes)
    }
    try peer.send("bye")
  }

  @Test("an accepted upgrade is a byte tunnel, and each side may end first")
  func upgrade() throws {
    let backend = Self.echo()
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send(Self.upgrade + "early")
    let head = try client.readThrough("\r\n\r\n")
    #expect(head.hasPrefix("HTTP/1.1 101 "))
    #expect(head.lowercased().contains("upgrade: websocket"))
    #expect(try client.readText(10) == "helloearly")
    try client.send("ping")
    #expect(try client.readText(4) == "ping")
    client.shutdownWrite()
    #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "bye")
    #expect(try proxy.count("response_total", "status_code=\"101\"") == 1)
  }

  @Test("the end of the upstream's side of a tunnel leaves the other direction open")
  func upstreamEndsFirst() throws {
    let received = Promise<String>()
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      try peer.send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nall")
      peer.shutdownWrite()
      received.put(String(decoding: try peer.readToEnd(), as: UTF8.self))
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    _ = try client.readThrough("\r\n\r\n")
    #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "all")
    try client.send("later")
    client.shutdownWrite()
    #expect(try received.get() == "later")
  }

  @Test("a refused upgrade is an ordinary answer, and the connection stays usable")
  func refusedUpgrade() throws {
    let backend = Backend.answering { request in
      request.value("upgrade") == nil
        ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    for _ in 0..<2 {
      let refused = try client.exchange(Self.upgrade)
      #expect(refused.status == 400)
      #expect(refused.text == "no")
      #expect(try client.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text == "ok")
    }
  }

  @Test("CONNECT to an address makes a tunnel to it")
  func connect() throws {
    let backend = Backend { peer, _ in try Self.echoUntilEnd(peer) }
    let proxy = try TestProxy([.outboundProxy])
    let client = try proxy.connect()
    let target = "127.0.0.1:\(backend.port)"
    try client.send("CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n\r\n")
    let head = try client.readThrough("\r\n\r\n")
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    #expect(!head.lowercased().contains("content-length"))
    #expect(!head.lowercased().contains("transfer-encoding"))
    try client.send("ping")
    #expect(try client.readText(4) == "ping")
    client.shutdownWrite()
    #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "bye")
  }

  @Test("a client may send all it has and close its side before the tunnel is open")
  func everythingAtOnce() throws {
    let backend = Backend { peer, _ in try Self.echoUntilEnd(peer) }
    let proxy = try TestProxy([.outboundProxy])
    let client = try proxy.connect()
    try client.send("CONNECT 127.0.0.1:\(backend.port) HTTP/1.1\r\nHost: x\r\n\r\nearly")
    client.shutdownWrite()
    _ = try client.readThrough("\r\n\r\n")
    #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "earlybye")
  }

  @Test("CONNECT to a port where nobody listens answers 503 and closes: what follows was meant for the tunnel")
  func connectRefused() throws {
    let nobody = ReservedPort()
    let proxy = try TestProxy([.outboundProxy])
    for _ in 0..<2 {
      let client = try proxy.connect()
      let answer = try client.exchange("CONNECT 127.0.0.1:\(nobody.port) HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(answer.status == 503)
      #expect(answer.text.contains("refused"))
      #expect(answer.value("connection")?.lowercased() == "close")
      #expect(client.isCut())
    }
    #expect(try proxy.count("response_total", "response_flag=\"UF\"") == 2)
  }

  @Test("a TCP service on a mapped listener carries bytes both ways")
  func mappedTCP() throws {
    let backend = Backend { peer, _ in try Self.echoUntilEnd(peer) }
    let proxy = try TestProxy.serving([backend.address], appProtocol: .tcp)
    let client = try proxy.connect()
    try client.send("PRI * HTTP/2.0\r\n")
    #expect(try client.readText(16) == "PRI * HTTP/2.0\r\n")
    client.shutdownWrite()
    #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "bye")
  }

  @Test("a megabyte passes through a tunnel in each direction while the reader is slow, and its end is not lost")
  func slowTunnel() throws {
    let count = 4 << 20
    let backend = Backend { peer, _ in
      let bytes = try peer.readToEnd()
      try peer.send(bytes)
    }
    let proxy = try TestProxy([.outboundProxy])
    let client = try proxy.connect(receiveBuffer: 16 * 1024)
    try client.send("CONNECT 127.0.0.1:\(backend.port) HTTP/1.1\r\nHost: x\r\n\r\n")
    _ = try client.readThrough("\r\n\r\n")
    try client.send([UInt8](repeating: 0x62, count: count))
    client.shutdownWrite()
    #expect(try client.readToEnd().count == count)
  }

  // MARK: - CONNECT to a service that speaks HTTP/2

  private static let connect = "CONNECT orders.shop:80 HTTP/1.1\r\nHost: orders.shop:80\r\n\r\n"

  @Test("HTTP/2 inside a CONNECT to such a service is balanced request by request", arguments: [true, false])
  func http2InsideConnect(_ isConfigured: Bool) throws {
    let backends = [Backend.http2(named: "a"), Backend.http2(named: "b")]
    let proxy = try TestProxy([.outboundProxy])
    if isConfigured { _ = try proxy.onLoop { _ = $0.service(.orders) } }
    // The listeners close with their objects, which optimized code lets go after their last use.
    defer { withExtendedLifetime(backends) {} }
    let configure = { proxy.configure(backends.map(\.address), appProtocol: .grpc) }
    if isConfigured { configure() }
    let peer = try proxy.connect()
    try peer.send(Self.connect)
    if !isConfigured {
      #expect(try proxy.becomes { $0.services[.orders]?.waiting.count == 1 })
      configure()
    }
    #expect(try peer.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    let client = try HTTP2Peer(peer)
    var seen: Set<[UInt8]> = []
    for i in 0..<40 { seen.insert(try client.finish(client.request(.get, "/\(i)")).body) }
    #expect(seen == [[0x61], [0x62]])
    #expect(try proxy.count("request_total", "dst_service=\"orders\"") == 40)
    #expect(try proxy.count("request_total") == 40)
  }

  @Test("a preface that arrives in the same bytes as its CONNECT is read")
  func prefaceWithConnect() throws {
    let backend = Backend.named("a")
    let proxy = try TestProxy([.outboundProxy])
    _ = try proxy.onLoop { _ = $0.service(.orders) }
    proxy.configure([backend.address], appProtocol: .http2)
    let peer = try proxy.connect()
    try peer.send(Self.connect + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    #expect(try peer.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    // A server's preface is a SETTINGS frame.
    #expect(try peer.read(9)[3] == 4)
  }

  @Test("anything else inside stays a tunnel")
  func bytesInsideConnect() throws {
    let backend = Backend { peer, _ in try Self.echoUntilEnd(peer) }
    let proxy = try TestProxy([.outboundProxy])
    _ = try proxy.onLoop { _ = $0.service(.orders) }
    proxy.configure([backend.address], appProtocol: .grpc)
    let peer = try proxy.connect()
    try peer.send(Self.connect)
    #expect(try peer.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    try peer.send([0x16, 3, 1, 0])
    #expect(try peer.read(4) == [0x16, 3, 1, 0])
    peer.shutdownWrite()
    #expect(String(decoding: try peer.readToEnd(), as: UTF8.self) == "bye")
  }
}
