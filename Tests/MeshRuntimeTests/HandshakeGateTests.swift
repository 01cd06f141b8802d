import MeshCore
import MeshRuntime
import Testing

/// Clients that come all at once, and clients that begin and do not go on.
@Suite(.serialized) struct HandshakeGateTests {
  /// Clients of one server, with what became of each.
  private final class Storm {
    let harness: LoopHarness
    private(set) var opened = 0
    private(set) var failures: [TLSFailure] = []
    private(set) var highest = 0
    private var peers: [Peer] = []
    private var left = 0

    init(limit: Int, waiting: Int, crowdedTimeout: TimeSpan = .seconds(60)) throws {
      harness = try LoopHarness()
      harness.worker.handshakes.limit = limit
      harness.worker.handshakes.waitingLimit = waiting
      harness.worker.handshakes.crowdedTimeout = crowdedTimeout
    }

    func listen(_ context: TLSContext, timeout: TimeSpan = .seconds(60)) throws -> SocketAddress {
      try harness.listen { [unowned self] connection in
        let peer = Peer()
        peer.onOpened = { [unowned self] in
          opened += 1
          $0.close()
        }
        peer.onClosed = { [unowned self] _, reason in
          if case .tls(let failure, _) = reason { failures.append(failure) }
          highest = max(highest, harness.worker.handshakes.highest)
          left -= 1
          if left == 0 { harness.worker.stop() }
        }
        peers.append(peer)
        connection.handler = peer
        connection.startTLS(server: context, handshakeTimeout: timeout)
      }.address
    }

    /// `count` clients that do the handshake, and `stuck` that send the head of a record and no more.
    func come(_ count: Int, stuck: Int = 0, to address: SocketAddress, _ context: TLSContext) {
      left = count + stuck
      for _ in 0..<stuck {
        let peer = Peer()
        peer.onOpened = { $0.send("\u{16}\u{3}\u{1}\u{2}\u{0}") }
        peers.append(peer)
        _ = harness.worker.connect(to: address, timeout: .seconds(60), handler: peer)
      }
      let client = TLSClient(context: context, expectedIdentity: TLSFixture.orders)
      for _ in 0..<count {
        let peer = Peer()
        peers.append(peer)
        _ = harness.worker.connect(to: address, timeout: .seconds(60), tls: client, handler: peer)
      }
    }
  }

  @Test("of many clients at once few shake hands at a time, and all have their turn")
  func everyone() throws {
    let fixture = TLSFixture()
    let storm = try Storm(limit: 4, waiting: 1_000)
    storm.come(60, to: try storm.listen(fixture.serverContext()), try fixture.clientContext())
    storm.harness.run()
    #expect(storm.opened == 60 && storm.failures.isEmpty)
    #expect(storm.highest == 4 && storm.harness.worker.handshakes.active == 0)
    #expect(storm.harness.worker.handshakes.waitingCount == 0)
  }

  @Test("past those that may wait, clients are refused under a name of its own")
  func overflow() throws {
    let fixture = TLSFixture()
    let storm = try Storm(limit: 1, waiting: 2, crowdedTimeout: .milliseconds(300))
    // The stuck ones come first and keep the place until their time is up.
    storm.come(
      0, stuck: 9, to: try storm.listen(fixture.serverContext(), timeout: .milliseconds(300)),
      try fixture.clientContext())
    storm.harness.run()
    #expect(storm.failures.count { $0 == .tooManyHandshakes } == 6)
    #expect(storm.failures.count { $0 == .handshakeTimeout } == 3)
    #expect(storm.harness.worker.handshakes.active == 0)
  }

  @Test("clients that begin and do not go on give their places up soon, and the others come in")
  func stuck() throws {
    let fixture = TLSFixture()
    // Seconds: on a busy machine the good ones take their time, too.
    let storm = try Storm(limit: 4, waiting: 1_000, crowdedTimeout: .seconds(1))
    let address = try storm.listen(fixture.serverContext(), timeout: .seconds(4))
    storm.come(20, stuck: 6, to: address, try fixture.clientContext())
    storm.harness.run()
    #expect(storm.opened == 20 && storm.highest == 4)
    #expect(storm.failures == Array(repeating: .handshakeTimeout, count: 6))
  }
}
