import MeshCore
import MeshRuntime
import Testing

/// One listener whose TLS context changes from connection to connection, as when a certificate is renewed.
final class SharedAddress {
  private let harness: LoopHarness
  private let client: TLSClient
  private let servers: [TLSContext]
  private var address = SocketAddress.loopback(port: 0)
  private var accepted = 0
  private var closings = 0
  /// For each server context in turn: did the client's session resume?
  private(set) var resumed: [Bool?] = []
  private(set) var serverFailures: [TLSFailure?] = []

  static func run(client: TLSContext, servers: [TLSContext]) throws -> SharedAddress {
    let run = try SharedAddress(client: client, servers: servers)
    run.address = try run.harness.listen { [unowned run] in run.serve($0) }.address
    run.connect()
    run.harness.run()
    return run
  }

  private init(client: TLSContext, servers: [TLSContext]) throws {
    harness = try LoopHarness()
    self.client = TLSClient(context: client, expectedIdentity: TLSFixture.orders)
    self.servers = servers
  }

  private func serve(_ connection: Connection) {
    let peer = Peer.echo()
    peer.onClosed = { [unowned self] _, reason in
      if case .tls(let failure, _) = reason { serverFailures.append(failure) } else { serverFailures.append(nil) }
      next()
    }
    connection.handler = peer
    connection.startTLS(server: servers[accepted])
    accepted += 1
  }

  private func connect() {
    let peer = Peer()
    peer.onOpened = { $0.send("ping") }
    peer.onReceived = { $0.shutdownWrite() }
    peer.onClosed = { [unowned self] connection, _ in
      resumed.append(connection.tls?.resumed)
      next()
    }
    _ = harness.worker.connect(to: address, timeout: .seconds(5), tls: client, handler: peer)
  }

  private func next() {
    closings += 1
    guard closings.isMultiple(of: 2) else { return }
    if accepted == servers.count { harness.worker.stop() } else { connect() }
  }
}
