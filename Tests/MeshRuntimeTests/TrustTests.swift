import MeshCore
import MeshRuntime
import Testing

/// Trust that changes under contexts that are in use, and what is revoked.
@Suite(.serialized) struct TrustTests {
  private typealias Outcome = TLSFixture.Outcome

  /// As many connections as there are steps, each step before its own.
  private static func run(
    _ fixture: TLSFixture, server: TLSContext, client: TLSContext, _ steps: [() throws -> Void]
  ) throws -> [Outcome] {
    try fixture.exchanges(steps.count, server: server, client: client) { index in
      do { try steps[index]() } catch { Issue.record(error) }
    }
  }

  private static func trust(_ authorities: TestAuthority..., revoked: Revocations = Revocations()) throws -> PeerTrust {
    try PeerTrust(anchorsPEM: authorities.flatMap(\.pem), revocations: revoked)
  }

  @Test(
    "an anchor that is added counts from the next handshake on, one that is taken away no more, in the same contexts")
  func anchors() throws {
    var fixture = TLSFixture()
    let next = TestAuthority(name: "the next root")
    fixture.clientAuthority = next
    let (server, client) = (try fixture.serverContext(), try fixture.clientContext())
    let old = fixture.authority
    let outcomes = try Self.run(
      fixture, server: server, client: client,
      [
        {}, { server.replaceTrust(try Self.trust(old, next)) }, {}, { server.replaceTrust(try Self.trust(old)) },
      ])
    #expect(outcomes.map(\.serverFailure) == [.unknownAuthority, nil, nil, .unknownAuthority])
    #expect(outcomes.map { $0.serverInfo?.resumed } == [nil, false, true, nil])
  }

  @Test("sessions of before do not resume under other trust, on either side, and those of after do")
  func resumption() throws {
    let fixture = TLSFixture()
    let (server, client) = (try fixture.serverContext(), try fixture.clientContext())
    let next = TestAuthority(name: "the next root")
    let outcomes = try Self.run(
      fixture, server: server, client: client,
      [
        {}, {}, { server.replaceTrust(try Self.trust(fixture.authority, next)) }, {},
        { client.replaceTrust(try Self.trust(fixture.authority, next)) }, {},
      ])
    #expect(outcomes.map { $0.serverInfo?.resumed } == [false, true, false, true, false, true])
    #expect(outcomes.allSatisfy { $0.answer == "ping" })
  }

  @Test(
    "what is revoked is refused by serial number, list and identity, in handshakes and in place of resumption",
    arguments: ["serial", "list", "identity"])
  func revoked(by way: String) throws {
    let fixture = TLSFixture()
    let (server, client) = (try fixture.serverContext(), try fixture.clientContext())
    // The client's certificate was issued last, as number 3.
    let revocations =
      switch way {
      case "serial": Revocations(serials: [fixture.authority.lastSerial])
      case "list": Revocations(lists: [fixture.authority.revocationList(of: 77, 3)])
      default: Revocations(identities: [TLSFixture.web])
      }
    let outcomes = try Self.run(
      fixture, server: server, client: client,
      [
        {}, {}, { server.replaceTrust(try Self.trust(fixture.authority, revoked: revocations)) },
        { server.replaceTrust(try Self.trust(fixture.authority)) },
      ])
    #expect(outcomes.map { $0.serverInfo?.resumed } == [false, true, nil, false])
    #expect(outcomes.map(\.serverFailure) == [nil, nil, way == "identity" ? .identityDenied : .revoked, nil])
    #expect(outcomes[2].clientFailure == .refusedByPeer && outcomes[2].answer.isEmpty)
  }

  @Test("a client refuses a server that is revoked, and a list of another issuer means nobody of ours")
  func revokedServer() throws {
    let fixture = TLSFixture()
    let server = try fixture.serverContext()
    let serial = fixture.authority.lastSerial
    let client = try fixture.clientContext()
    let stranger = TestAuthority(name: "somebody else").revocationList(of: 2)
    let outcomes = try Self.run(
      fixture, server: server, client: client,
      [
        { client.replaceTrust(try Self.trust(fixture.authority, revoked: Revocations(lists: [stranger]))) },
        { client.replaceTrust(try Self.trust(fixture.authority, revoked: Revocations(serials: [serial]))) },
      ])
    #expect(outcomes.map(\.clientFailure) == [nil, .revoked])
  }

  @Test("a connection that lives is judged anew: cut when revoked, unproven without its anchor, else left alone")
  func live() throws {
    let fixture = TLSFixture()
    let (old, next) = (fixture.authority, TestAuthority(name: "the next root"))
    let verdicts = try LiveConnection.verdicts(
      server: fixture.serverContext(), client: fixture.clientContext(),
      under: [
        Self.trust(old), Self.trust(old, next), Self.trust(old, revoked: Revocations(serials: [SerialNumber("ff")!])),
        Self.trust(next), Self.trust(old, revoked: Revocations(identities: [TLSFixture.web])),
        Self.trust(old, revoked: Revocations(serials: [old.lastSerial])),
        Self.trust(old, revoked: Revocations(lists: [old.revocationList(of: 3)])),
      ])
    // Of client and server, in no order. The client's certificate has the number 3, and is seen by the server.
    #expect(
      verdicts == [
        [], [], [], ["unproven", "unproven"], ["identity_denied"], ["revoked"], ["revoked"],
      ])
  }

  @Test("a connection that resumed keeps no chain: it is unproven as soon as less is trusted, and not when more is")
  func resumedLive() throws {
    let fixture = TLSFixture()
    let next = TestAuthority(name: "the next root")
    let verdicts = try LiveConnection.verdicts(
      server: fixture.serverContext(), client: fixture.clientContext(), connections: 2,
      under: [Self.trust(fixture.authority, next), Self.trust(fixture.authority)])
    #expect(verdicts == [[], ["unproven", "unproven"]])
  }

  @Test("serial numbers are the same whatever tool printed them; what is none is refused")
  func serials() {
    #expect(SerialNumber("0A:b1") == SerialNumber("ab1"))
    #expect(SerialNumber("000A") == SerialNumber("a"))
    #expect(SerialNumber("0A:B1")?.description == "0AB1")
    for text in ["", "0x1", "g", " 1", String(repeating: "1", count: 65)] { #expect(SerialNumber(text) == nil) }
  }

  @Test("a list that cannot be read, or that does not say all, is an error that says so")
  func damagedLists() {
    let authority = TestAuthority()
    let good = authority.revocationList(of: 5)
    for text in ["", "nonsense", String(good.prefix(120))] {
      #expect(throws: TLSContextError.self) { _ = try Self.trust(authority, revoked: Revocations(lists: [text])) }
    }
    #expect(throws: Never.self) { _ = try Self.trust(authority, revoked: Revocations(lists: [good])) }
  }

  @Test("the key exchange is the first of those that this machine's OpenSSL has")
  func keyExchange() throws {
    let outcome = try TLSFixture().exchange()
    #expect(TLSLibrary.groups.contains("P-256") && TLSLibrary.version.hasPrefix("OpenSSL 3"))
    let first = try #require(TLSLibrary.groups.first)
    #expect(outcome.clientInfo?.group.lowercased() == first.lowercased() || first == "P-256")
  }
}

/// An established connection, the last of some one after the other, judged under one trust after another.
private enum LiveConnection {
  static func verdicts(
    server: TLSContext, client: TLSContext, connections: Int = 1, under trusts: [PeerTrust]
  ) throws -> [[String]] {
    let harness = try LoopHarness()
    var verdicts: [[String]] = []
    var left = connections
    let address = try harness.listen { connection in
      connection.handler = Peer.echo()
      connection.startTLS(server: server)
    }.address
    let expected = TLSClient(context: client, expectedIdentity: TLSFixture.orders, serverName: "orders.shop")
    let peer = Peer()
    let earlier = Peer()
    func connect() {
      _ = harness.worker.connect(
        to: address, timeout: .seconds(5), tls: expected, handler: left == 1 ? peer : earlier)
    }
    earlier.onOpened = { $0.send("ping") }
    earlier.onReceived = { $0.close() }
    earlier.onClosed = { _, _ in
      left -= 1
      connect()
    }
    peer.onOpened = { $0.send("ping") }
    peer.onReceived = { connection in
      #expect(connection.tls?.resumed == (connections > 1))
      for trust in trusts {
        var found: [String] = []
        harness.worker.judgePeers(by: trust) { _, verdict in
          switch verdict {
          case .refused(let failure, _): found.append(failure.rawValue)
          case .unproven: found.append("unproven")
          }
        }
        verdicts.append(found)
      }
      harness.worker.stop()
    }
    connect()
    harness.run()
    return verdicts
  }
}
