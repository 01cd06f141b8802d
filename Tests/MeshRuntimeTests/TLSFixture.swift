import MeshCore
import MeshRuntime
import Testing

/// Two workloads of one mesh and the contexts between them; each test changes the one thing it is about.
struct TLSFixture {
  static let orders = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders")
  static let web = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web")

  let authority = TestAuthority()
  var serverAuthority: TestAuthority?
  var clientAuthority: TestAuthority?
  var serverNames = "URI:\(Self.orders)"
  var clientNames = "URI:\(Self.web)"
  var serverValidity = (-60, 3600)
  var clientValidity = (-60, 3600)
  var serverUsage = "serverAuth,clientAuth"
  var clientHasCertificate = true
  var serverProtocols = ["h2"]
  var clientProtocols = ["h2"]
  var ticketKey = TLSTicketKey()
  /// Of the server.
  var clockSkew = TimeSpan.seconds(20)

  func serverContext() throws -> TLSContext { try TLSContext(serverConfiguration()) }

  /// With a new key and certificate; contexts made of one configuration are workers of one server.
  func serverConfiguration() throws -> TLSConfiguration {
    let key = try WorkloadKey()
    let chain = (serverAuthority ?? authority).issue(
      key, names: serverNames, from: serverValidity.0, to: serverValidity.1, usage: serverUsage)
    var configuration = TLSConfiguration(
      role: .server, key: key, chainPEM: chain, trustAnchorsPEM: authority.pem, protocols: serverProtocols,
      ticketKey: ticketKey)
    configuration.clockSkew = clockSkew
    return configuration
  }

  func clientContext() throws -> TLSContext {
    let key = try WorkloadKey()
    let chain = (clientAuthority ?? authority).issue(
      key, names: clientNames, from: clientValidity.0, to: clientValidity.1)
    return try TLSContext(
      TLSConfiguration(
        role: .client, key: clientHasCertificate ? key : nil, chainPEM: clientHasCertificate ? chain : [],
        trustAnchorsPEM: authority.pem, protocols: clientProtocols))
  }

  /// What one exchange of "ping" and "pong" led to.
  struct Outcome {
    var client: CloseReason?
    var server: CloseReason?
    var clientInfo: TLSInfo?
    var serverInfo: TLSInfo?
    var answer = ""

    var clientFailure: TLSFailure? { Self.failure(client) }
    var serverFailure: TLSFailure? { Self.failure(server) }

    private static func failure(_ reason: CloseReason?) -> TLSFailure? {
      if case .tls(let failure, _) = reason { failure } else { nil }
    }
  }

  func exchange(expecting identity: SPIFFEID = Self.orders) throws -> Outcome {
    try exchanges(1, server: serverContext(), client: clientContext(), expecting: identity)[0]
  }

  /// With a server outside the mesh, which shows `serverNames`, whatever they are. It may show itself several times.
  func exchange(outside names: ServerNames, trusting anchors: [UInt8]? = nil, count: Int = 1) throws -> [Outcome] {
    var server = try serverConfiguration()
    server.requiresClientCertificate = false
    server.requiresProtocol = false
    server.minimumVersion = .tls12
    var client = TLSConfiguration(
      role: .client, key: nil, trustAnchorsPEM: anchors ?? authority.pem, protocols: clientProtocols)
    client.requiresWorkloadIdentity = false
    client.minimumVersion = .tls12
    let expected = TLSClient(context: try TLSContext(client), expectedNames: names, serverName: names.hosts.first)
    return try TLSExchange(count: count, server: TLSContext(server), client: expected).run()
  }

  /// `count` connections, one after the other, on one pair of contexts. `before` is called before each.
  func exchanges(
    _ count: Int, server serverContext: TLSContext, client clientContext: TLSContext,
    expecting identity: SPIFFEID = Self.orders, before: @escaping (Int) -> Void = { _ in }
  ) throws -> [Outcome] {
    let client = TLSClient(context: clientContext, expectedIdentity: identity, serverName: "orders.shop")
    return try TLSExchange(count: count, server: serverContext, client: client, before: before).run()
  }
}

/// Connections one after the other, each with one "ping" sent back by an echo server.
private final class TLSExchange {
  private let harness: LoopHarness
  private let server: TLSContext
  private let client: TLSClient
  private var outcomes: [TLSFixture.Outcome]
  private var current = 0
  private var closed = 0
  private var address = SocketAddress.loopback(port: 0)
  private let before: (Int) -> Void

  init(count: Int, server: TLSContext, client: TLSClient, before: @escaping (Int) -> Void = { _ in }) throws {
    self.before = before
    harness = try LoopHarness()
    self.server = server
    self.client = client
    outcomes = Array(repeating: TLSFixture.Outcome(), count: count)
  }

  func run() throws -> [TLSFixture.Outcome] {
    address = try harness.listen { [unowned self] in serve($0) }.address
    connect()
    harness.run()
    return outcomes
  }

  private func serve(_ connection: Connection) {
    let peer = Peer.echo()
    peer.onOpened = { [unowned self] in outcomes[current].serverInfo = $0.tls }
    peer.onClosed = { [unowned self] in
      outcomes[current].server = $1
      next()
    }
    connection.handler = peer
    connection.startTLS(server: server)
  }

  private func connect() {
    before(current)
    let peer = Peer()
    peer.onOpened = { [unowned self] in
      outcomes[current].clientInfo = $0.tls
      $0.send("ping")
    }
    peer.onReceived = { [unowned self] in
      outcomes[current].answer += $0.takeInput()
      if outcomes[current].answer == "ping" { $0.shutdownWrite() }
    }
    peer.onClosed = { [unowned self] in
      outcomes[current].client = $1
      next()
    }
    _ = harness.worker.connect(to: address, timeout: .seconds(5), tls: client, handler: peer)
  }

  private func next() {
    closed += 1
    guard closed.isMultiple(of: 2) else { return }
    current += 1
    if current == outcomes.count { harness.worker.stop() } else { connect() }
  }
}
