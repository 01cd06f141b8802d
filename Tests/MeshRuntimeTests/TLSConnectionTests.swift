import MeshCore
import MeshRuntime
import Testing

@Suite(.serialized) struct TLSConnectionTests {
  @Test("20 MB pass in both directions at once over TLS")
  func bulk() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    let total = 20_000_000
    let block = [UInt8](repeating: 0x61, count: 40_000)
    let serverContext = try fixture.serverContext()
    let server = Peer.echo()
    // Backpressure as a proxy does it: stop reading while the way out is full.
    server.onReceived = {
      $0.output.append(moving: $0.input)
      $0.flushSoon()
      if $0.isOverHighWatermark { $0.pauseReading() }
    }
    server.onDrained = { $0.resumeReading() }
    let listener = try harness.listen {
      $0.handler = server
      $0.startTLS(server: serverContext)
    }
    var sent = 0
    var received = 0
    let client = Peer()
    func pump(_ connection: Connection) {
      while sent < total, !connection.isOverHighWatermark {
        connection.output.append(block)
        sent += block.count
      }
      connection.flushSoon()
      if sent == total { connection.shutdownWrite() }
    }
    client.onOpened = { pump($0) }
    client.onDrained = { pump($0) }
    client.onReceived = {
      received += $0.input.count
      $0.input.removeAll()
    }
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(
      to: listener.address, timeout: .seconds(5),
      tls: TLSClient(context: try fixture.clientContext(), expectedIdentity: TLSFixture.orders), handler: client)
    harness.run()
    #expect(received == total)
    #expect(client.reason == .peerClosed && server.reason == .peerClosed)
  }

  @Test("what the server said before it was gone is read, though a write fails first")
  func lastWords() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    let serverContext = try fixture.serverContext()
    let server = Peer()
    server.onReceived = { connection in
      connection.input.removeAll()
      // What is not read when it closes makes it a reset.
      connection.pauseReading()
      connection.send("sorry")
      harness.after(.milliseconds(40)) { connection.abort() }
    }
    let listener = try harness.listen {
      $0.handler = server
      $0.startTLS(server: serverContext)
    }
    let client = Peer()
    var answer = ""
    client.onOpened = { connection in
      connection.send("first")
      connection.pauseReading()
      harness.after(.milliseconds(20)) { connection.send("second") }
      harness.after(.milliseconds(80)) {
        connection.resumeReading()
        connection.send("third")
      }
    }
    client.onReceived = { answer += $0.takeInput() }
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(
      to: listener.address, timeout: .seconds(5),
      tls: TLSClient(context: try fixture.clientContext(), expectedIdentity: TLSFixture.orders), handler: client)
    harness.run()
    #expect(answer == "sorry")
  }

  @Test("a connection lives on when new connections use a new context")
  func contextSwap() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    var serverContext = try fixture.serverContext()
    var clientContext = try fixture.clientContext()
    let listener = try harness.listen {
      $0.handler = Peer.echo()
      $0.startTLS(server: serverContext)
    }
    let first = Peer()
    let second = Peer()
    var answers: [String] = []
    func connect(_ peer: Peer) -> Connection {
      harness.worker.connect(
        to: listener.address, timeout: .seconds(5),
        tls: TLSClient(context: clientContext, expectedIdentity: TLSFixture.orders), handler: peer)
    }
    first.onOpened = { $0.send("old") }
    var firstConnection: Connection?
    first.onReceived = {
      answers.append($0.takeInput())
      if answers.count == 3 { return harness.worker.stop() }
      do {
        serverContext = try fixture.serverContext()
        clientContext = try fixture.clientContext()
      } catch { Issue.record(error) }
      _ = connect(second)
    }
    second.onOpened = { $0.send("new") }
    second.onReceived = {
      answers.append($0.takeInput())
      firstConnection?.send("old again")
    }
    firstConnection = connect(first)
    harness.run()
    #expect(answers == ["old", "new", "old again"])
  }

  @Test("a TLS stream cut into single bytes by the network arrives whole")
  func byteByByte() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    let serverContext = try fixture.serverContext()
    let tlsListener = try harness.listen { _ in }
    // A relay between client and server that passes one byte per write; every write is a segment (TCP_NODELAY).
    let address = tlsListener.address
    var sides: [Connection] = []
    func relay(from: Connection, to: Connection) {
      guard !from.input.isEmpty else { return }
      to.output.append(from.input.readable[0])
      from.input.consume(1)
      to.flushSoon()
      if !from.input.isEmpty { from.receiveAgain() }
    }
    harness.onAccept = { connection in
      guard sides.isEmpty else {
        connection.handler = Peer.echo()
        return connection.startTLS(server: serverContext)
      }
      let near = Peer()
      let far = Peer()
      connection.handler = near
      sides = [connection, harness.worker.connect(to: address, timeout: .seconds(5), handler: far)]
      near.onReceived = { relay(from: $0, to: sides[1]) }
      far.onReceived = { relay(from: $0, to: sides[0]) }
    }
    let text = String(repeating: "every byte on its own ", count: 20)
    var answer = ""
    let client = Peer()
    client.onOpened = { $0.send(text) }
    client.onReceived = {
      answer += $0.takeInput()
      if answer == text { harness.worker.stop() }
    }
    client.onClosed = { _, reason in
      Issue.record("closed: \(reason)")
      harness.worker.stop()
    }
    _ = harness.worker.connect(
      to: address, timeout: .seconds(5),
      tls: TLSClient(context: try fixture.clientContext(), expectedIdentity: TLSFixture.orders), handler: client)
    client.onClosed = { _, reason in if reason != .aborted { Issue.record("closed: \(reason)") } }
    harness.run()
    #expect(answer == text)
  }

  @Test("a peer that does not go on with the handshake is cut off")
  func handshakeTimeout() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    let context = try fixture.serverContext()
    let server = Peer()
    server.onClosed = { _, _ in harness.worker.stop() }
    let listener = try harness.listen {
      $0.handler = server
      $0.startTLS(server: context, handshakeTimeout: .milliseconds(30))
    }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: Peer())
    harness.run()
    #expect(server.events == ["closed"])
    guard case .tls(.handshakeTimeout, _) = server.reason else {
      Issue.record("closed with \(String(describing: server.reason))")
      return
    }
  }

  @Test("plain HTTP on a TLS port is named as such")
  func plainHTTP() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    let context = try fixture.serverContext()
    let server = Peer()
    server.onClosed = { _, _ in harness.worker.stop() }
    let listener = try harness.listen {
      $0.handler = server
      $0.startTLS(server: context)
    }
    let client = Peer()
    client.onOpened = { $0.send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n") }
    client.onEnd = { $0.close() }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    guard case .tls(.protocolError, let detail) = server.reason else {
      Issue.record("closed with \(String(describing: server.reason))")
      return
    }
    #expect(detail.contains("plain HTTP"))
  }

  @Test("a TLS connection cut without close_notify is not a clean end")
  func truncation() throws {
    let fixture = TLSFixture()
    let harness = try LoopHarness()
    let context = try fixture.serverContext()
    let server = Peer.echo()
    server.onClosed = { _, _ in harness.worker.stop() }
    let listener = try harness.listen {
      $0.handler = server
      $0.startTLS(server: context)
    }
    let client = Peer()
    client.onOpened = { $0.send("x") }
    client.onReceived = { $0.abort() }
    _ = harness.worker.connect(
      to: listener.address, timeout: .seconds(5),
      tls: TLSClient(context: try fixture.clientContext(), expectedIdentity: TLSFixture.orders), handler: client)
    harness.run()
    #expect(server.reason == .peerReset && !server.events.contains("end"))
  }
}
