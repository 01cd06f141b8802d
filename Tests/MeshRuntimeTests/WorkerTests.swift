import Foundation
import MeshCore
import MeshRuntime
import Testing

@Suite(.serialized) struct WorkerTests {
  @Test("100 MB pass a slow reader with bounded memory on both sides")
  func slowReader() throws {
    let harness = try LoopHarness()
    let total = 100_000_000
    let chunk = [UInt8](repeating: 0x61, count: 32 * 1024)
    var sent = 0
    var highestOutput = 0
    func pump(_ connection: Connection) {
      while sent < total, !connection.isOverHighWatermark {
        let size = min(chunk.count, total - sent)
        connection.output.append(Array(chunk[..<size]))
        sent += size
      }
      highestOutput = max(highestOutput, connection.output.count)
      connection.flushSoon()
      if sent == total { connection.shutdownWrite() }
    }
    let server = Peer()
    server.onDrained = { pump($0) }
    let listener = try harness.listen {
      $0.handler = server
      pump($0)
    }
    let client = Peer()
    var received = 0
    var highestInput = 0
    client.onReceived = { connection in
      highestInput = max(highestInput, connection.input.count)
      let before = received
      received += connection.input.count
      connection.input.removeAll()
      guard before / 1_000_000 != received / 1_000_000 else { return }
      connection.pauseReading()
      harness.after(.milliseconds(1)) { connection.resumeReading() }
    }
    client.onEnd = { $0.shutdownWrite() }
    client.onClosed = { _, _ in harness.worker.stop() }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(received == total)
    #expect(highestOutput < 64 * 1024 + chunk.count)
    #expect(highestInput <= 128 * 1024)
  }

  @Test("a handler that does not consume stops the reads at the high watermark, and consuming starts them again")
  func inputWatermark() throws {
    let harness = try LoopHarness()
    let total = 1_000_000
    let server = Peer()
    var highest = 0
    var received = 0
    var connectionOfServer: Connection?
    server.onReceived = {
      connectionOfServer = $0
      highest = max(highest, $0.input.count)
    }
    // Consumes behind the handler's back, as a proxy does when the other side has drained.
    func consumeLater() {
      harness.after(.milliseconds(1)) {
        if let connection = connectionOfServer {
          received += connection.input.count
          connection.input.removeAll()
        }
        if received < total { consumeLater() } else { harness.worker.stop() }
      }
    }
    consumeLater()
    let listener = try harness.listen { $0.handler = server }
    let client = Peer()
    client.onOpened = { $0.send(String(repeating: "z", count: total)) }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(received == total)
    #expect(highest >= 64 * 1024 && highest <= 128 * 1024)
  }

  @Test("a flooding connection leaves its turns to a ping-pong connection")
  func fairness() throws {
    let harness = try LoopHarness()
    let block = String(repeating: "f", count: 128 * 1024)
    var flood = 0
    var floodAtPong = 0
    var mostBetweenPongs = 0
    var pongs = 0
    let listener = try harness.listen { $0.handler = Peer.echo() }
    // Connection.handler is strong, so the peers live as long as their connections.
    let flooder = Peer()
    flooder.onOpened = { $0.send(block) }
    flooder.onReceived = {
      flood += $0.input.count
      $0.output.append(moving: $0.input)
      if $0.output.count < 64 * 1024 { $0.send(block) } else { $0.flushSoon() }
    }
    let pinger = Peer()
    pinger.onOpened = { $0.send("p") }
    pinger.onReceived = {
      mostBetweenPongs = max(mostBetweenPongs, flood - floodAtPong)
      floodAtPong = flood
      pongs += $0.takeInput().utf8.count
      if pongs == 500 { harness.worker.stop() } else { $0.send("p") }
    }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: flooder)
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: pinger)
    harness.run()
    #expect(pongs == 500)
    #expect(flood > 500 * 1024, "the flood must have been going on")
    #expect(mostBetweenPongs <= 8 * 64 * 1024)
  }

  @Test("a thousand connections are served by one loop")
  func thousandConnections() throws {
    ProcessLimits.raiseOpenFiles()
    let harness = try LoopHarness()
    let listener = try harness.listen { $0.handler = Peer.echo() }
    var closed = 0
    for index in 0..<1000 {
      let client = Peer()
      client.onOpened = { $0.send("message \(index)") }
      client.onReceived = {
        guard $0.input.count == "message \(index)".utf8.count else { return }
        #expect($0.takeInput() == "message \(index)")
        $0.shutdownWrite()
      }
      client.onClosed = { _, reason in
        #expect(reason == .peerClosed)
        closed += 1
        if closed == 1000 { harness.worker.stop() }
      }
      _ = harness.worker.connect(to: listener.address, timeout: .seconds(20), handler: client)
    }
    harness.run()
    #expect(closed == 1000)
    #expect(harness.worker.counters.accepts >= 1000)
    #expect(harness.worker.openSources == 0)
  }

  @Test("a closed listener refuses newcomers while its connections live on")
  func listenerClose() throws {
    let harness = try LoopHarness()
    let listener = try harness.listen { $0.handler = Peer.echo() }
    let address = listener.address
    let late = Peer()
    let client = Peer()
    client.onOpened = { $0.send("first") }
    client.onReceived = { connection in
      if connection.takeInput() == "second" { return harness.worker.stop() }
      listener.close()
      late.onClosed = { _, _ in connection.send("second") }
      _ = harness.worker.connect(to: address, timeout: .seconds(5), handler: late)
    }
    _ = harness.worker.connect(to: address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(late.reason == .connectRefused)
    #expect(!listener.isOpen)
  }

  @Test("work posted by four threads runs on the loop, each thread's in its order")
  func inbox() throws {
    let results = Results()
    let thread = try WorkerThread(index: 0, seed: 1) { _ in }
    let inbox = thread.inbox
    let posters = (0..<4).map { poster in
      Thread {
        for item in 0..<1000 {
          inbox.post { worker in
            // Guarded by the loop: only it runs posted work.
            results.perPoster[poster].append(item)
            results.count += 1
            if results.count == 4000 { worker.stop() }
          }
        }
      }
    }
    for poster in posters { poster.start() }
    thread.join()
    #expect(results.perPoster == Array(repeating: Array(0..<1000), count: 4))
    #expect(!inbox.post { _ in })
  }

  // Guarded by the worker's loop, and read after it was joined.
  private final class Results: @unchecked Sendable {
    var perPoster = [[Int]](repeating: [], count: 4)
    var count = 0
  }

  @Test("timers of a loop fire in order and not before their time")
  func timers() throws {
    let harness = try LoopHarness()
    let start = harness.worker.now
    var fired: [Int64] = []
    for wait in [30, 10, 20] as [Int64] {
      harness.after(.milliseconds(wait)) {
        #expect(harness.worker.now - start >= .milliseconds(wait))
        fired.append(wait)
        if wait == 30 { harness.worker.stop() }
      }
    }
    harness.run()
    #expect(fired == [10, 20, 30])
  }

  @Test("many writes of one turn leave in one system call")
  func gatheredWrites() throws {
    let harness = try LoopHarness()
    let server = Peer()
    var received = 0
    server.onReceived = {
      received += $0.takeInput().utf8.count
      if received == 500 { harness.worker.stop() }
    }
    let listener = try harness.listen { $0.handler = server }
    let client = Peer()
    client.onOpened = { connection in for _ in 0..<100 { connection.send("12345") } }
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(harness.worker.counters.writes == 1)
  }

  @Test("stopping a worker closes what is open with a reason")
  func stop() throws {
    let harness = try LoopHarness()
    let server = Peer()
    let listener = try harness.listen {
      $0.handler = server
      harness.worker.stop()
    }
    let client = Peer()
    _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    harness.run()
    #expect(client.reason == .aborted && server.reason == .aborted)
    #expect(harness.worker.openSources == 0)
  }
}
