import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// The opening handshake where it changes versions: HTTP/1 proves itself by key and accept, HTTP/2 by `:protocol`.
@Suite("WebSocket across versions")
struct WebSocketTests {
  /// RFC 6455, section 1.3.
  static let (key, accept) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

  static func proof(_ key: String) -> String {
    var key = key
    return key.withUTF8 { WebSocketKey.accept(for: UnsafeRawBufferPointer($0)) }
  }

  @Test("the proof is the one of RFC 6455")
  func vector() { #expect(Self.proof(Self.key) == Self.accept) }

  @Test("a WebSocket opens and carries bytes both ways", arguments: Pairing.all)
  func opens(_ pairing: Pairing) throws {
    try pairing.run { application in
      let request = try application.request()
      #expect(request.values("sec-websocket-version") == ["13"])
      let keys = request.values("sec-websocket-key")
      if application.version == .http1 {
        #expect(request.start == "GET /chat")
        #expect(request.values("upgrade") == ["websocket"])
        #expect(keys.count == 1)
        try application.acceptUpgrade([("sec-websocket-accept", Self.proof(keys.first ?? ""))], echo: 4)
      } else {
        #expect(request.start == "CONNECT /chat")
        #expect(request.values(":protocol") == ["websocket"])
        #expect(keys.isEmpty)
        try application.acceptUpgrade(echo: 4)
      }
    } client: { (client) throws in
      try client.sendUpgrade("/chat", key: Self.key)
      let answer = try client.receiveUpgrade()
      #expect(answer.status == (pairing.client == .http1 ? 101 : 200))
      #expect(answer.values("sec-websocket-accept") == (pairing.client == .http1 ? [Self.accept] : []))
      #expect(answer.values("upgrade") == (pairing.client == .http1 ? ["websocket"] : []))
      try client.sendBytes("ping")
      #expect(try client.readBytes(4) == "ping")
    }
  }

  @Test("an application that refuses answers as to any request", arguments: Pairing.all)
  func refused(_ pairing: Pairing) throws {
    try pairing.run { application in
      while true {
        _ = try application.request()
        try application.answer(403, [("content-length", "2")], body: "no")
      }
    } client: { (client) throws in
      try client.sendUpgrade("/chat", key: Self.key)
      let answer = try client.receive()
      #expect(answer.status == 403)
      #expect(answer.body == "no")
    }
  }

  @Test("an HTTP/1 application whose proof is wrong has not accepted")
  func wrongProof() throws {
    let pairing = Pairing(client: .http2, application: .http1, hasHop: false)
    try pairing.run { application in
      _ = try application.request()
      try application.acceptUpgrade([("sec-websocket-accept", Self.accept)], echo: 1)
    } client: { (client) throws in
      try client.sendUpgrade("/chat", key: "")
      #expect(try client.receiveUpgrade().status == 502)
    }
  }

  @Test("an HTTP/2 application without extended CONNECT gets the plain request, of which a client of HTTP/2 gets 501")
  func noExtendedConnect() throws {
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      var last: UInt32 = 0
      while true {
        let stream = try server.nextRequest(after: last)
        last = stream.rawValue
        let request = try server.finish(stream)
        let text = "\(request.method) \(request.connectProtocol)"
        server.engine.sendHead(HTTP2Peer.answer(200), on: stream, endStream: false)
        try server.send(Array(text.utf8), on: stream)
      }
    }
    let proxy = try TestProxy.serving([backend.address], appProtocol: .http2)
    for _ in 0..<2 {
      let client = try PairedClient(.http1, proxy)
      try client.sendUpgrade("/chat", key: Self.key)
      let answer = try client.receive()
      #expect(answer.status == 200)
      #expect(answer.body == "GET ")
    }
    let client = try PairedClient(.http2, proxy)
    try client.sendUpgrade("/chat", key: Self.key)
    #expect(try client.receive().status == 501)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("an application that accepts and says nothing half closes the tunnel, and still reads")
  func acceptedAndEnded() throws {
    let seen = Promise<String>()
    let backend = Backend { peer, _ in
      let server = FramePeer(peer)
      try server.send(FramePeer.settings((8, 1)))
      try server.readPreface()
      let request = try server.request()
      try server.send(FramePeer.headers(request.stream, end: true, (":status", "200")))
      seen.put(String(decoding: try server.frame(ofType: 0).payload, as: UTF8.self))
    }
    let proxy = try TestProxy.serving([backend.address], appProtocol: .http2)
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
    #expect(Message(head: try client.readThrough("\r\n\r\n")).status == 101)
    #expect(try client.receive().isEmpty)
    try client.send("still here")
    #expect(try seen.get() == "still here")
  }
}
