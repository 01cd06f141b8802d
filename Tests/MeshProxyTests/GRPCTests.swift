import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshProxy

/// A scripted HTTP/2 server: `script` gets the connection once its first stream is there.
private func server(_ script: @escaping @Sendable (HTTP2Peer, HTTP2StreamID) throws -> Void) -> Backend {
  Backend { peer, _ in
    let server = try HTTP2Peer(peer, role: .server)
    while server.streams.isEmpty { try server.step() }
    try script(server, HTTP2StreamID(rawValue: 1))
  }
}

extension HTTP2Peer {
  fileprivate func answer(
    _ stream: HTTP2StreamID, _ fields: [(String, String)] = [], status: UInt16 = 200, endStream: Bool
  ) throws {
    let head = MessageHead()
    head.status = status
    head.append(name: "content-type", value: "application/grpc")
    for (name, value) in fields { head.append(name: name, value: value) }
    engine.sendHead(head, on: stream, endStream: endStream)
    try flush()
  }

  fileprivate func trailers(_ stream: HTTP2StreamID, _ fields: [(String, String)]) throws {
    let trailers = MessageHead()
    for (name, value) in fields { trailers.append(name: name, value: value) }
    engine.sendTrailers(trailers, on: stream)
    try flush()
  }

  fileprivate func call(
    _ fields: [(String, String)] = [], type: String = "application/grpc", endStream: Bool = true
  ) throws -> HTTP2StreamID {
    try request(.post, "/shop.Orders/Get", [("content-type", type), ("te", "trailers")] + fields, endStream: endStream)
  }

  /// Until `stream` was reset by the other side.
  fileprivate func waitForReset(_ stream: HTTP2StreamID) throws -> HTTP2ErrorCode? {
    while self.stream(stream).reset == nil { try step() }
    return self.stream(stream).reset
  }
}

extension TestProxy {
  /// In front of an application that speaks gRPC.
  fileprivate static func toApplication(_ backend: Backend, limits: ProxyLimits = ProxyLimits()) throws -> TestProxy {
    let proxy = try TestProxy([.inboundPlaintext], limits: limits)
    let port = InboundPortConfig(port: 8080, appProtocol: .grpc, service: .orders, application: backend.address)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    return proxy
  }
}

@Suite("gRPC calls")
struct GRPCTests {
  // MARK: - Statuses

  @Test("a failure of the proxy is a gRPC status in a head that ends the stream")
  func localReply() throws {
    let proxy = try TestProxy.serving([])
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call())
    #expect(answer.status == 200)
    #expect(answer.head.value("content-type") == "application/grpc")
    #expect(answer.head.value("grpc-status") == "14")
    #expect(answer.head.value("grpc-message")?.hasPrefix("no endpoint: ") == true)
    #expect(answer.body.isEmpty && answer.trailers.isEmpty)
    let other = try client.finish(client.call(type: "application/grpc-web"))
    #expect(other.status == 503)
    #expect(other.head.value("grpc-status") == nil)
    #expect(
      try proxy.count(
        "response_total", "status_code=\"200\"", "grpc_status=\"14\"", "classification=\"failure\"",
        "response_flag=\"UH\"") == 1)
    #expect(try proxy.count("response_total", "status_code=\"503\"", "grpc_status=\"\"") == 1)
  }

  @Test("over HTTP/1 the status is in the head, too, and the connection goes on")
  func localReplyHTTP1() throws {
    let proxy = try TestProxy.serving([])
    let client = try proxy.connect()
    for _ in 0..<2 {
      let answer = try client.exchange(
        "POST /a/b HTTP/1.1\r\nHost: orders\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
      #expect(answer.status == 200)
      #expect(answer.value("grpc-status") == "14")
      #expect(answer.value("content-length") == "0")
    }
  }

  @Test(
    "each failure has its gRPC status",
    arguments: [
      (.noRoute, .unimplemented), (.unknownService, .unimplemented), (.noEndpoint, .unavailable),
      (.invalidBackend, .unavailable), (.noBackendWeight, .unavailable), (.connectRefused, .unavailable),
      (.applicationRefused, .unavailable), (.connectTimeout, .unavailable), (.tlsFailure, .unavailable),
      (.upstreamClosed, .unavailable), (.upstreamReset, .unavailable), (.upstreamRefusedStream, .unavailable),
      (.upstreamProtocol, .unavailable), (.upstreamOverflow, .unavailable), (.responseTimeout, .deadlineExceeded),
      (.deadlineExceeded, .deadlineExceeded), (.streamIdle, .deadlineExceeded), (.discoveryTimeout, .unavailable),
      (.noIdentity, .unavailable), (.badAuthority, .internal), (.loop, .unknown), (.rule(status: 500), .unavailable),
      (.rule(status: 503), .unavailable), (.upstreamReset(by: .cancel), .cancelled),
      (.upstreamReset(by: .enhanceYourCalm), .resourceExhausted), (.upstreamReset(by: .internalError), .internal),
    ] as [(ProxyError, GRPCStatus)])
  func statuses(_ error: ProxyError, _ status: GRPCStatus) {
    #expect(error.grpcStatus == status, "\(error.reason)")
  }

  @Test("an HTTP error from what is no gRPC server goes through as it is, and counts as a failed call")
  func notGRPC() throws {
    let backend = Backend.answering { _ in
      "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone"
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call())
    #expect(answer.status == 404)
    #expect(answer.head.value("content-type") == "text/html")
    #expect(answer.head.value("grpc-status") == nil)
    #expect(String(decoding: answer.body, as: UTF8.self) == "gone")
    #expect(
      try proxy.count(
        "response_total", "status_code=\"404\"", "grpc_status=\"none\"", "classification=\"failure\"") == 1)
  }

  @Test("statuses in trailers and in heads are counted; a made-up one is one label")
  func counted() throws {
    let backend = server { server, _ in
      for id in stride(from: UInt32(1), through: 7, by: 2) {
        let stream = HTTP2StreamID(rawValue: id)
        while !server.stream(stream).isEnded { try server.step() }
        switch id {
        case 1:
          try server.answer(stream, endStream: false)
          try server.send([0, 0, 0, 0, 0], on: stream, endStream: false)
          try server.trailers(stream, [("grpc-status", "0"), ("x-bin", "AAEC"), ("x-bin", "Aw")])
        case 3: try server.answer(stream, [("grpc-status", "5"), ("grpc-message", "no%20such")], endStream: true)
        case 5: try server.answer(stream, [("grpc-status", "4711")], endStream: true)
        default: try server.answer(stream, [("grpc-status", "13")], endStream: true)
        }
      }
      _ = server.peer.isCut()
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    let first = try client.finish(client.call())
    #expect(first.trailers == "grpc-status: 0\nx-bin: AAEC\nx-bin: Aw")
    #expect(first.body.count == 5)
    let second = try client.finish(client.call())
    #expect(second.head.value("grpc-status") == "5")
    #expect(second.head.value("grpc-message") == "no%20such")
    for _ in 0..<2 { _ = try client.finish(client.call()) }
    for (label, classification) in [("0", "success"), ("5", "success"), ("invalid", "failure"), ("13", "failure")] {
      #expect(
        try proxy.count("response_total", "grpc_status=\"\(label)\"", "classification=\"\(classification)\"") == 1)
    }
  }

  @Test("a reset before the answer is told as the status it stands for")
  func reset() throws {
    let backend = server { server, stream in
      server.engine.sendReset(stream, .cancel)
      try server.flush()
      _ = server.peer.isCut()
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call())
    #expect(answer.status == 200)
    #expect(answer.head.value("grpc-status") == "1")
  }

  @Test("a server that dies in the middle of its answer leaves a status, not a reset")
  func breaksOff() throws {
    let backend = server { server, stream in
      try server.answer(stream, endStream: false)
      try server.send([0, 0, 0, 0, 9, 1], on: stream, endStream: false)
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call())
    #expect(answer.status == 200)
    #expect(answer.body == [0, 0, 0, 0, 9, 1])
    #expect(answer.trailers.hasPrefix("grpc-status: 14\ngrpc-message: upstream closed"))
    #expect(answer.isEnded && answer.reset == nil)
    #expect(try proxy.count("response_total", "grpc_status=\"14\"", "response_flag=\"UC\"") == 1)
  }

  @Test("an answer with a declared length that breaks off is reset: trailers would not complete it")
  func breaksOffLength() throws {
    let backend = server { server, stream in
      try server.answer(stream, [("content-length", "9")], endStream: false)
      try server.send([0, 0, 0], on: stream, endStream: false)
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    #expect(try client.finish(client.call()).reset == .internalError)
  }

  // MARK: - Deadlines

  @Test("the server gets the time that is left, and both sides learn when it is over")
  func deadline() throws {
    let (seen, reset) = (Promise<String>(), Promise<HTTP2ErrorCode?>())
    let backend = server { server, stream in
      seen.put(server.stream(stream).head.value("grpc-timeout") ?? "none")
      reset.put(try server.waitForReset(stream))
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call([("grpc-timeout", "300m")], endStream: false))
    #expect(answer.head.value("grpc-status") == "4")
    let left = try seen.get()
    #expect(left.hasSuffix("u"))
    #expect((1...300_000).contains(Int(left.dropLast()) ?? 0), "\(left)")
    #expect(try reset.get() == .cancel)
    #expect(
      try proxy.count(
        "response_total", "grpc_status=\"4\"", "response_flag=\"DT\"", "classification=\"failure\"") == 1)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
  }

  @Test("a deadline that passes in the middle of the answer ends it with trailers")
  func deadlineAfterHead() throws {
    let backend = server { server, stream in
      try server.answer(stream, endStream: false)
      _ = try server.waitForReset(stream)
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call([("grpc-timeout", "200m")]))
    #expect(answer.hasHead)
    #expect(answer.trailers.hasPrefix("grpc-status: 4\n"))
  }

  @Test("a call that waits for configuration runs out of time, too", arguments: ["30m", "0n"])
  func deadlineWhileWaiting(_ timeout: String) throws {
    let proxy = try TestProxy([.mapped(.orders)])
    let client = try HTTP2Peer(try proxy.connect())
    let answer = try client.finish(client.call([("grpc-timeout", timeout)]))
    #expect(answer.head.value("grpc-status") == "4")
    #expect(try proxy.onLoop { $0.services[.orders]?.waiting.count } == 0)
  }

  @Test("an answer in time cancels the deadline of the exchange that serves the next call")
  func deadlineCancelled() throws {
    let backend = server { server, _ in
      for id in [UInt32(1), 3] {
        let stream = HTTP2StreamID(rawValue: id)
        while !server.stream(stream).isEnded { try server.step() }
        // The second call outlives the first one's deadline.
        if id == 3 { _ = Signal().waits(milliseconds: 400) }
        try server.answer(stream, [("grpc-status", "0")], endStream: true)
      }
      _ = server.peer.isCut()
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    #expect(try client.finish(client.call([("grpc-timeout", "300m")])).head.value("grpc-status") == "0")
    #expect(try client.finish(client.call()).head.value("grpc-status") == "0")
  }

  @Test("a timeout that cannot be read goes on as it is and sets no deadline")
  func malformedTimeout() throws {
    let seen = Promise<String>()
    let backend = server { server, stream in
      seen.put(server.stream(stream).head.value("grpc-timeout") ?? "none")
      try server.answer(stream, [("grpc-status", "0")], endStream: true)
      _ = server.peer.isCut()
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    #expect(try client.finish(client.call([("grpc-timeout", "1 second")])).head.value("grpc-status") == "0")
    #expect(try seen.get() == "1 second")
  }

  // MARK: - Cancellation and idleness

  @Test("a client that closes its connection, or its side of it, cancels its calls", arguments: [true, false])
  func closes(_ wholly: Bool) throws {
    let (asked, reset) = (Signal(), Promise<HTTP2ErrorCode?>())
    let backend = server { server, stream in
      asked.raise()
      reset.put(try server.waitForReset(stream))
    }
    let proxy = try TestProxy.toApplication(backend)
    let client = try HTTP2Peer(try proxy.connect())
    _ = try client.call()
    #expect(asked.wait())
    if wholly { client.peer.close() } else { client.peer.shutdownWrite() }
    #expect(try reset.get() == .cancel)
    #expect(try proxy.becomes { $0.exchangeCount == 0 && $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("response_total", "response_flag=\"DC\"", "grpc_status=\"none\"") == 1)
  }

  @Test("a silent call outlives the idle timeout of other requests, and has one of its own")
  func idle() throws {
    let go = Signal()
    let backend = server { server, stream in
      while server.streams.count < 2 { try server.step() }
      go.wait()
      try server.answer(stream, [("grpc-status", "0")], endStream: true)
      _ = server.peer.isCut()
    }
    var limits = ProxyLimits()
    limits.streamIdleTimeout = .milliseconds(50)
    let proxy = try TestProxy.toApplication(backend, limits: limits)
    let client = try HTTP2Peer(try proxy.connect())
    let call = try client.call()
    #expect(try client.finish(client.request(.get, "/")).status == 504)
    go.raise()
    #expect(try client.finish(call).head.value("grpc-status") == "0")

    limits.grpcIdleTimeout = .milliseconds(50)
    let silent = server { server, stream in _ = try server.waitForReset(stream) }
    let strict = try TestProxy.toApplication(silent, limits: limits)
    let other = try HTTP2Peer(try strict.connect())
    #expect(try other.finish(other.call()).head.value("grpc-status") == "4")
  }
}
