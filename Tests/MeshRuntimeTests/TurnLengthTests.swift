import MeshCore
import MeshRuntime
import Testing

@Suite("Turns that are long", .serialized)
struct TurnLengthTests {
  /// Works for longer than a turn may last.
  private static func dawdle() {
    let end = MonotonicClock.now + .microseconds(400)
    while MonotonicClock.now < end {}
  }

  @Test("of the connections that have more to do, few go on in one turn, and all do in the end")
  func leftOver() throws {
    let harness = try LoopHarness()
    let count = 16
    var passes: [Int: Int] = [:]
    var finished = 0
    let listener = try harness.listen { connection in
      let server = Peer()
      var pass = 0
      server.onReceived = { connection in
        Self.dawdle()
        // The first pass was the kernel's event, the others are what is left over.
        if pass > 0 { passes[Int(harness.worker.counters.turns), default: 0] += 1 }
        pass += 1
        if pass < 4 { return connection.receiveAgain() }
        connection.input.removeAll()
        finished += 1
        if finished == count { harness.worker.stop() }
      }
      connection.handler = server
    }
    let clients = (0..<count).map { _ in Peer() }
    for client in clients {
      client.onOpened = { $0.send("x") }
      _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    }
    harness.run()
    #expect(finished == count)
    #expect(passes.values.reduce(0, +) == 3 * count)
    #expect(passes.values.max() ?? 0 <= 4)
  }

  @Test("new connections come in small numbers while each of them makes the turn long")
  func accepts() throws {
    let harness = try LoopHarness()
    let count = 128
    var accepts: [UInt64] = []
    let listener = try harness.listen { connection in
      Self.dawdle()
      accepts.append(harness.worker.counters.turns)
      connection.handler = Peer.echo()
      if accepts.count == count { harness.worker.stop() }
    }
    let clients = (0..<count).map { _ in Peer() }
    for client in clients { _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client) }
    harness.run()
    let perTurn = Dictionary(grouping: accepts) { $0 }.mapValues(\.count)
    #expect(accepts.count == count)
    #expect(perTurn.values.max() ?? 0 <= 8)
    #expect(Set(accepts.suffix(32)).count == 32, "after some long turns one at a time")
  }

  @Test("who stands back waits for the others while turns are long, and has turns all the same")
  func standingBack() throws {
    let harness = try LoopHarness()
    let crowd = 15
    var order: [Int] = []
    var servers = 0
    let listener = try harness.listen { connection in
      let number = servers
      servers += 1
      connection.standsBack = number > 0
      let server = Peer()
      server.onReceived = { connection in
        connection.input.removeAll()
        if number > 0 { Self.dawdle() }
        order.append(number)
        if order.count == 400 { return harness.worker.stop() }
        connection.send("y")
      }
      connection.handler = server
    }
    let clients = (0...crowd).map { _ in Peer() }
    for client in clients {
      client.onOpened = { $0.send("x") }
      client.onReceived = { connection in
        connection.input.removeAll()
        connection.send("x")
      }
      _ = harness.worker.connect(to: listener.address, timeout: .seconds(5), handler: client)
    }
    harness.run()
    // From one turn of the first to its next there are two of the loop's, each with two of the crowd; in the kernel's order there are 15.
    let settled = order.dropFirst(100)
    let between = settled.split(separator: 0).map(\.count)
    #expect(between.max() ?? 0 <= 8, "\(between)")
    #expect(Set(settled).count == crowd + 1)
    let turns = Dictionary(grouping: settled.filter { $0 > 0 }) { $0 }.values.map(\.count)
    #expect((turns.max() ?? 0) - (turns.min() ?? 0) <= 4, "in turn: \(turns)")
  }
}
