import MeshCore
import MeshRuntime
import Testing

@Suite(.serialized) struct ConnectionTests {
  @Test("what a client sends comes back from an echo server")
  func echo() throws {
    let harness = try LoopHarness()
    let server = Peer.echo()
    let listener = try harness.listen { $0.handler = server }
    let client = Peer()
    client.onOpened = { $0.send("hello") }
    var answer = ""
    client.onReceived = {
      answer += $0.takeInput()
      if answer == "hello" { $0.shutdownWrite() }
    }
    client.onClosed = { _, _ in harness.worker.stop() }
    let connection = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(answer == "hello")
    #expect(client.events == ["opened", "received", "end", "closed"])
    #expect(client.reason == .peerClosed && server.reason == .peerClosed)
    #expect(connection.bytesRead == 5 && connection.bytesWritten == 5)
  }

  @Test("a client that ended its side still gets the answer")
  func halfCloseByClient() throws {
    let harness = try LoopHarness()
    let server = Peer()
    server.onEnd = {
      $0.send("late answer")
      $0.shutdownWrite()
    }
    let listener = try harness.listen { $0.handler = server }
    let client = Peer()
    client.onOpened = {
      $0.send("question")
      $0.shutdownWrite()
    }
    var answer = ""
    client.onReceived = { answer += $0.takeInput() }
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(answer == "late answer")
    #expect(server.events == ["received", "end", "closed"])
  }

  @Test("a server that ended its side still gets what the client sends")
  func halfCloseByServer() throws {
    let harness = try LoopHarness()
    let server = Peer()
    var received = ""
    server.onReceived = { received += $0.takeInput() }
    server.onClosed = { _, _ in harness.worker.stop() }
    let listener = try harness.listen {
      $0.handler = server
      $0.shutdownWrite()
    }
    let client = Peer()
    client.onEnd = {
      $0.send("still here")
      $0.shutdownWrite()
    }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(received == "still here")
    #expect(server.reason == .peerClosed)
  }

  @Test("a connection nobody listens for is refused")
  func refused() throws {
    let harness = try LoopHarness()
    let listener = try harness.listen { _ in }
    let address = listener.address
    listener.close()
    let client = Peer()
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(to: address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(client.events == ["closed"] && client.reason == .connectRefused)
  }

  @Test("a connect without an answer ends with the timeout")
  func connectTimeout() throws {
    let harness = try LoopHarness()
    let silent = try SilentListener()
    let client = Peer()
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(to: silent.address, timeout: .milliseconds(50), handler: client)
    harness.run()
    #expect(client.events == ["closed"] && client.reason == .connectTimeout)
  }

  @Test("an aborted connection is a reset to the peer, told even while it does not read")
  func abort() throws {
    let harness = try LoopHarness()
    let server = Peer()
    server.onClosed = { _, _ in harness.worker.stop() }
    let listener = try harness.listen {
      $0.handler = server
      $0.pauseReading()
    }
    let client = Peer()
    client.onOpened = { [unowned client] in
      #expect(client.reason == nil)
      $0.abort()
    }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(client.reason == .aborted && server.reason == .peerReset)
  }

  @Test("closeAfterFlush delivers the whole answer to a client that is still sending")
  func lingeringClose() throws {
    let harness = try LoopHarness()
    let answer = String(repeating: "x", count: 500_000)
    let server = Peer()
    server.onReceived = {
      guard $0.isOpen else { return }
      $0.input.removeAll()
      $0.send(answer)
      $0.closeAfterFlush()
    }
    let listener = try harness.listen { $0.handler = server }
    let client = Peer()
    client.onOpened = { $0.send(String(repeating: "y", count: 200_000)) }
    var received = 0
    client.onReceived = {
      received += $0.takeInput().utf8.count
      $0.send("more")
    }
    client.onEnd = { $0.close() }
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(received == answer.utf8.count)
    #expect(client.events.suffix(2) == ["end", "closed"])
  }

  @Test("a writer past the high watermark goes on even when nobody can receive any more")
  func drainedAfterWriteShutdown() throws {
    let harness = try LoopHarness(limit: .seconds(5))
    let server = Peer()
    server.onReceived = {
      $0.input.removeAll()
      $0.output.append(string: String(repeating: "x", count: $0.outputHighWatermark))
      $0.flushSoon()
    }
    var outputLeft: Int?
    server.onDrained = {
      outputLeft = $0.output.count
      harness.worker.stop()
    }
    let listener = try harness.listen {
      $0.handler = server
      $0.shutdownWrite()
    }
    let client = Peer()
    client.onEnd = { $0.send("question") }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(outputLeft == 0)
  }

  @Test("paused input is announced again after resume")
  func pauseAndResume() throws {
    let harness = try LoopHarness()
    let server = Peer()
    var calls = 0
    var text = ""
    server.onReceived = {
      calls += 1
      if calls == 1 {
        $0.pauseReading()
        let connection = $0
        harness.after(.milliseconds(5)) { connection.resumeReading() }
      } else {
        text += $0.takeInput()
        if text == "onetwo" { harness.worker.stop() }
      }
    }
    let listener = try harness.listen { $0.handler = server }
    let client = Peer()
    client.onOpened = { connection in
      connection.send("one")
      harness.after(.milliseconds(2)) { connection.send("two") }
    }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(text == "onetwo")
  }
}
