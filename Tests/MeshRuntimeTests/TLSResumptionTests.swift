import COpenSSL
import MeshCore
import MeshRuntime
import Testing

/// Which sessions resume. What does not resume must go on as a full handshake, so most tests look at both.
@Suite(.serialized) struct TLSResumptionTests {
  @Test("later connections resume, know the peer, and use each ticket once")
  func resumption() throws {
    let fixture = TLSFixture()
    let client = try fixture.clientContext()
    let outcomes = try fixture.exchanges(3, server: fixture.serverContext(), client: client)
    #expect(outcomes.map { $0.clientInfo?.resumed } == [false, true, true])
    #expect(outcomes.map { $0.serverInfo?.resumed } == [false, true, true])
    #expect(outcomes.allSatisfy { $0.serverInfo?.peerIdentity == TLSFixture.web })
    #expect(outcomes.allSatisfy { $0.clientInfo?.peerIdentity == TLSFixture.orders && $0.answer == "ping" })
    // One came with each connection, one went with each but the first.
    #expect(client.rememberedSessions == 1)
  }

  @Test("a session resumes on another worker of the same server, and not under a stranger's ticket key")
  func acrossWorkers() throws {
    let fixture = TLSFixture()
    var configuration = try fixture.serverConfiguration()
    let first = try TLSContext(configuration)
    let second = try TLSContext(configuration)
    configuration.ticketKey = TLSTicketKey()
    let stranger = try TLSContext(configuration)
    let run = try SharedAddress.run(client: fixture.clientContext(), servers: [first, second, stranger])
    #expect(run.resumed == [false, true, false])
    #expect(run.serverFailures == [nil, nil, nil])
  }

  @Test("a server without a ticket key gives no tickets")
  func noTickets() throws {
    let fixture = TLSFixture()
    var configuration = try fixture.serverConfiguration()
    configuration.ticketKey = nil
    let client = try fixture.clientContext()
    let run = try SharedAddress.run(client: client, servers: [TLSContext(configuration), TLSContext(configuration)])
    #expect(run.resumed == [false, false] && client.rememberedSessions == 0)
  }

  @Test("a ticket outlives one rotation of the keys, not two")
  func rotation() throws {
    let fixture = TLSFixture()
    let configuration = try fixture.serverConfiguration()
    let (second, third) = (TLSTicketKey(), TLSTicketKey())
    func server(_ rotations: TLSTicketKey...) throws -> TLSContext {
      let context = try TLSContext(configuration)
      for key in rotations { context.rotateTicketKey(to: key) }
      return context
    }
    let once = try SharedAddress.run(
      client: fixture.clientContext(), servers: [server(), server(second), server(second)])
    #expect(once.resumed == [false, true, true])
    let twice = try SharedAddress.run(client: fixture.clientContext(), servers: [server(), server(second, third)])
    #expect(twice.resumed == [false, false] && twice.serverFailures == [nil, nil])
  }

  @Test("a session of other trust anchors is not resumed: the peer must show its chain")
  func changedAnchors() throws {
    let fixture = TLSFixture()
    var configuration = try fixture.serverConfiguration()
    let before = try TLSContext(configuration)
    configuration.trustAnchorsPEM += TestAuthority(name: "the next root").pem
    let after = try TLSContext(configuration)
    configuration.trustAnchorsPEM = TestAuthority(name: "the next root alone").pem
    let without = try TLSContext(configuration)
    let run = try SharedAddress.run(client: fixture.clientContext(), servers: [before, after, after, without])
    #expect(run.resumed == [false, false, true, false])
    #expect(run.serverFailures == [nil, nil, nil, .unknownAuthority])
  }

  @Test("a session of the server's earlier certificate is not resumed")
  func changedCertificate() throws {
    let fixture = TLSFixture()
    // Another certificate, the same ticket key.
    let run = try SharedAddress.run(
      client: fixture.clientContext(), servers: [fixture.serverContext(), fixture.serverContext()])
    #expect(run.resumed == [false, false] && run.serverFailures == [nil, nil])
  }

  @Test("a session of a client certificate that has ended since goes back to a full handshake, which refuses it")
  func expiredClient() throws {
    var fixture = TLSFixture()
    fixture.clientValidity = (-3600, 600)
    var configuration = try fixture.serverConfiguration()
    let now = try TLSContext(configuration)
    // Less than no allowance for clock skew stands for twenty minutes of time.
    configuration.clockSkew = .seconds(-1200)
    let later = try TLSContext(configuration)
    let run = try SharedAddress.run(client: fixture.clientContext(), servers: [now, now, later])
    #expect(run.resumed == [false, true, false])
    #expect(run.serverFailures == [nil, nil, .expired])
  }

  @Test(
    "a ticket lives an hour, and no longer than either certificate",
    arguments: [(7200, 7200), (900, 7200), (7200, 900)])
  func lifetime(serverEnd: Int, clientEnd: Int) throws {
    var fixture = TLSFixture()
    fixture.serverValidity = (-60, serverEnd)
    fixture.clientValidity = (-60, clientEnd)
    let client = try fixture.clientContext()
    _ = try fixture.exchanges(1, server: fixture.serverContext(), client: client)
    let session = try #require(client.sessions.values.first?.first)
    let hint = Int(SSL_SESSION_get_ticket_lifetime_hint(session))
    let bound = min(3600, serverEnd, clientEnd)
    #expect((bound - 60...bound).contains(hint))
  }

  @Test("a client keeps four tickets of one peer, the newest, and a bounded number of all")
  func bounds() throws {
    let fixture = TLSFixture()
    let client = try fixture.clientContext()
    func session() throws -> OpaquePointer { try #require(SSL_SESSION_new()) }
    func key(_ port: UInt16) -> TLSContext.SessionKey {
      .init(address: .loopback(port: port), identity: TLSFixture.orders)
    }
    for _ in 0..<6 { client.remember(try session(), for: key(1)) }
    #expect(client.rememberedSessions == 4)
    for port in 2...2_000 as ClosedRange<UInt16> { client.remember(try session(), for: key(port)) }
    #expect((TLSContext.maximumSessions - 4...TLSContext.maximumSessions).contains(client.rememberedSessions))
    client.forgetSessions()
    #expect(client.rememberedSessions == 0)
  }
}
