import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Testing

/// grpc-swift as client and server with a real `apus-proxy` between them.
@Suite("grpc-swift through a proxy", .serialized, .timeLimit(.minutes(2)))
struct GRPCSwiftTests {
  @Test("calls of every kind pass, with metadata and messages larger than every window")
  func calls() async throws {
    try await throughProxy { client, _ in
      let large = [UInt8](repeating: 7, count: 3 << 20)
      for message in [[], [1, 2, 3], large] {
        let answer = try await client.echo(message, metadata: ["x-raw-bin": .binary([0, 255])])
        #expect(try answer.message == message)
        #expect(Array(answer.metadata[binaryValues: "x-raw-bin"]) == [[0, 255]])
      }
      let request = StreamingClientRequest<[UInt8]> { writer in
        for number in UInt8(0)..<100 { try await writer.write([number]) }
      }
      let answers = try await client.bidirectionalStreaming(
        request: request, descriptor: .chat, serializer: RawBytes(), deserializer: RawBytes(), options: .defaults
      ) { response in
        try await response.messages.reduce(into: [UInt8]()) { $0 += $1 }
      }
      #expect(answers == Array(0..<100))
    }
  }

  @Test("a server's error arrives with its code and message")
  func error() async throws {
    try await throughProxy { client, _ in
      let error = await #expect(throws: RPCError.self) {
        _ = try await client.echo([], metadata: ["x-do": "fail"]).message
      }
      #expect(error?.code == .failedPrecondition)
      #expect(error?.message == "not yet: 100% é")
      let missing = await #expect(throws: RPCError.self) {
        try await client.unary(
          request: ClientRequest(message: []), descriptor: .missing, serializer: RawBytes(), deserializer: RawBytes(),
          options: .defaults
        ) { _ = try $0.message }
      }
      #expect(missing?.code == .unimplemented)
    }
  }

  @Test("a deadline ends the call at the client and cancels it at the server")
  func deadline() async throws {
    try await throughProxy { client, echo in
      var options = CallOptions.defaults
      options.timeout = .milliseconds(300)
      let error = await #expect(throws: RPCError.self) {
        _ = try await client.echo([], metadata: ["x-do": "wait"], options: options).message
      }
      #expect(error?.code == .deadlineExceeded)
      await echo.cancelled()
    }
  }

  @Test("a server that is not there is UNAVAILABLE, with the proxy's reason")
  func noServer() async throws {
    let proxy = try ProxyProcess(upstream: try ProxyProcess.freePort())
    defer { proxy.stop() }
    try await withClient(port: proxy.port) { client in
      let error = await #expect(throws: RPCError.self) { _ = try await client.echo([]).message }
      #expect(error?.code == .unavailable)
      #expect(error?.message.hasPrefix("connect failure: ") == true)
    }
  }

  private func throughProxy(
    _ body: (GRPCClient<HTTP2ClientTransport.Posix>, EchoService) async throws -> Void
  ) async throws {
    let echo = EchoService()
    let transport = HTTP2ServerTransport.Posix(
      address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext)
    try await withGRPCServer(transport: transport, services: [echo]) { _ in
      let port = try #require(try await transport.listeningAddress.ipv4?.port)
      let proxy = try ProxyProcess(upstream: port)
      defer { proxy.stop() }
      try await withClient(port: proxy.port) { try await body($0, echo) }
    }
  }

  private func withClient(
    port: Int, _ body: (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Void
  ) async throws {
    try await withGRPCClient(
      transport: .http2NIOPosix(target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext),
      handleClient: body)
  }
}

extension GRPCClient {
  fileprivate func echo(
    _ message: [UInt8], metadata: Metadata = [:], options: CallOptions = .defaults
  ) async throws -> ClientResponse<[UInt8]> {
    try await unary(
      request: ClientRequest(message: message, metadata: metadata), descriptor: .echo, serializer: RawBytes(),
      deserializer: RawBytes(), options: options
    ) { $0 }
  }
}
