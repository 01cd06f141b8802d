import CZlib
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// Answers that a workload's proxy compresses.
@Suite("Compression of answers in the proxy")
struct CompressionProxyTests {
  // Listeners close with their objects, which optimized code lets go after their last use: hence each `withExtendedLifetime`.

  private static let text = (0..<2_000).map { "line \($0) of a text that says little\n" }.joined()
  private static func get(_ fields: String = "Accept-Encoding: gzip\r\n", method: String = "GET") -> String {
    "\(method) / HTTP/1.1\r\nHost: orders.shop\r\n\(fields)\r\n"
  }

  private static func answer(_ text: String, _ fields: String = "") -> String {
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\(fields)Content-Length: \(text.utf8.count)\r\n\r\n\(text)"
  }

  private static func proxy(
    _ backend: Backend, _ policy: CompressionPolicy = CompressionPolicy(), limits: ProxyLimits = ProxyLimits(),
    appProtocol: AppProtocol = .http
  ) throws -> TestProxy {
    let proxy = try TestProxy([.inboundPlaintext], limits: limits)
    let port = InboundPortConfig(
      port: 80, appProtocol: appProtocol, service: .orders, application: backend.address, compression: policy)
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: [port])))
    return proxy
  }

  /// What a decoder makes of as much as there is of a stream.
  private static func decoded(_ bytes: [UInt8]) -> String {
    var stream = z_stream()
    guard czlib_inflate_init(&stream, 31) == Z_OK else { return "no decoder" }
    defer { inflateEnd(&stream) }
    var output: [UInt8] = []
    var input = bytes
    input.withUnsafeMutableBufferPointer { input in
      stream.next_in = input.baseAddress
      stream.avail_in = UInt32(input.count)
      var block = [UInt8](repeating: 0, count: 65_536)
      var status = Z_OK
      while status == Z_OK {
        let written = block.withUnsafeMutableBufferPointer { block in
          stream.next_out = block.baseAddress
          stream.avail_out = UInt32(block.count)
          status = inflate(&stream, Z_SYNC_FLUSH)
          return block.count - Int(stream.avail_out)
        }
        output += block[..<written]
        if written == 0 { break }
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  @Test("an answer is compressed for who takes it, and says that others get another one")
  func negotiation() throws {
    let backend = Backend.answering { _ in Self.answer(Self.text, "ETag: \"a\"\r\nAccept-Ranges: bytes\r\n") }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend)
    let client = try proxy.connect()
    for _ in 0..<3 {
      let answer = try client.exchange(Self.get())
      #expect(answer.value("content-encoding") == "gzip")
      #expect(answer.value("vary") == "accept-encoding")
      #expect(answer.value("etag") == "W/\"a\"")
      #expect(answer.value("accept-ranges") == nil && answer.value("content-length") == nil && answer.isChunked)
      #expect(answer.body.count < Self.text.utf8.count / 4)
      #expect(Self.decoded(answer.body) == Self.text)
    }
    let plain = try client.exchange(Self.get(""))
    #expect(plain.text == Self.text && plain.value("content-encoding") == nil)
    #expect(plain.value("vary") == "accept-encoding" && plain.value("etag") == "\"a\"")
    #expect(try proxy.count("response_compressed_total", "dst_service=\"orders\"") == 3)
    #expect(try proxy.count("response_compression_input_bytes_total") == 3 * Self.text.utf8.count)
    let sent = try proxy.count("response_compression_output_bytes_total")
    #expect(sent > 0 && sent < Self.text.utf8.count)
  }

  @Test("HEAD is told what GET would be")
  func head() throws {
    let backend = Backend { peer, _ in
      while true {
        let request = try peer.message()
        let answer = Self.answer(Self.text)
        try peer.send(request.head.hasPrefix("HEAD") ? String(answer.dropLast(Self.text.count)) : answer)
      }
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend)
    defer { withExtendedLifetime(proxy) {} }
    let client = try proxy.connect()
    let answer = try client.exchange(Self.get(method: "HEAD"), isHead: true)
    #expect(answer.value("content-encoding") == "gzip" && answer.value("content-length") == nil)
    let plain = try client.exchange(Self.get("", method: "HEAD"), isHead: true)
    #expect(plain.value("content-length") == "\(Self.text.utf8.count)")
    // The connection goes on: nobody waits for content.
    #expect(Self.decoded(try client.exchange(Self.get()).body) == Self.text)
  }

  @Test("an answer that comes in pieces goes on in pieces, each whole")
  func streaming() throws {
    let (first, second) = (Signal(), Signal())
    let backend = Backend { peer, _ in
      _ = try peer.message()
      try peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
      first.wait()
      try peer.send("6\r\nsecond\r\n")
      second.wait()
      try peer.send("0\r\n\r\n")
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend)
    defer { withExtendedLifetime(proxy) {} }
    let client = try proxy.connect()
    try client.send(Self.get())
    _ = try client.readThrough("\r\n\r\n")
    var body: [UInt8] = []
    func read(until text: String) throws {
      while Self.decoded(body) != text {
        let size = Int(try client.readThrough("\r\n"), radix: 16) ?? 0
        body += try client.read(size)
        _ = try client.read(2)
      }
    }
    try read(until: "first")
    first.raise()
    try read(until: "firstsecond")
    second.raise()
    while let size = Int(try client.readThrough("\r\n"), radix: 16), size > 0 {
      body += try client.read(size)
      _ = try client.read(2)
    }
    #expect(Self.decoded(body) == "firstsecond")
  }

  @Test("content that does not get smaller, and far more than anybody holds, arrives as it was")
  func large() throws {
    var random = SeededRandom(seed: 4)
    let noise = String((0..<300_000).map { _ in Character(UnicodeScalar(UInt8(0x20 + random.next(below: 0x5E)))) })
    let backend = Backend.answering { _ in Self.answer(noise + noise) }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend)
    let answer = try proxy.connect().exchange(Self.get())
    #expect(Self.decoded(answer.body) == noise + noise)
    let modern = try HTTP2Peer(proxy.connect())
    let stream = try modern.finish(modern.request(.get, "/", [("accept-encoding", "gzip")], endStream: true))
    #expect(stream.head.value("content-encoding") == "gzip")
    #expect(Self.decoded(stream.body) == noise + noise)
    #expect(try proxy.becomes { $0.bufferBudget.held == 0 && $0.exchangeCount == 0 })
  }

  @Test("an answer that breaks off is broken off, and its place among the compressions is free again")
  func breaks() throws {
    let backend = Backend { peer, number in
      _ = try peer.message()
      guard number == 0 else { return try peer.send(Self.answer(Self.text)) }
      try peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 90000\r\n\r\nhalf")
    }
    defer { withExtendedLifetime(backend) {} }
    var limits = ProxyLimits()
    limits.maximumCompressions = 1
    let proxy = try Self.proxy(backend, limits: limits)
    let broken = try proxy.connect()
    try broken.send(Self.get())
    #expect((try? broken.message()) == nil)
    #expect(try proxy.becomes { $0.exchangeCount == 0 })
    #expect(Self.decoded(try proxy.connect().exchange(Self.get()).body) == Self.text)
  }

  @Test("past the most compressions at a time answers go out as they are")
  func limit() throws {
    let backend = Backend.answering { _ in Self.answer(Self.text) }
    defer { withExtendedLifetime(backend) {} }
    var limits = ProxyLimits()
    limits.maximumCompressions = 0
    let proxy = try Self.proxy(backend, limits: limits)
    let answer = try proxy.connect().exchange(Self.get())
    #expect(answer.text == Self.text && answer.value("vary") == "accept-encoding")
    #expect(try proxy.count("limit_hits_total", "limit=\"compressions\"") == 1)
  }

  @Test("calls of gRPC are left alone")
  func grpc() throws {
    let backend = Backend { peer, _ in
      let server = try HTTP2Peer(peer, role: .server)
      let stream = try server.nextRequest(after: 0)
      server.engine.sendHead(
        HTTP2Peer.answer(200, [("content-type", "application/grpc")]), on: stream, endStream: false)
      try server.send(Array(Self.text.utf8), on: stream)
      while true { try server.step() }
    }
    defer { withExtendedLifetime(backend) {} }
    let proxy = try Self.proxy(backend, CompressionPolicy(contentTypes: ["application/grpc"]), appProtocol: .grpc)
    let client = try HTTP2Peer(proxy.connect())
    let fields = [("content-type", "application/grpc"), ("te", "trailers"), ("accept-encoding", "gzip")]
    let answer = try client.finish(client.request(.post, "/a/b", fields, endStream: true))
    #expect(answer.head.value("content-encoding") == nil && answer.body == Array(Self.text.utf8))
  }
}
