import MeshCore
import MeshRuntime
import Testing

@Suite(.serialized) struct TLSTests {
  @Test("two workloads learn each other's identity over TLS 1.3 and end in order")
  func mutual() throws {
    let outcome = try TLSFixture().exchange()
    #expect(outcome.answer == "ping")
    #expect(outcome.clientInfo?.peerIdentity == TLSFixture.orders)
    #expect(outcome.serverInfo?.peerIdentity == TLSFixture.web)
    #expect(outcome.clientInfo?.version == "TLSv1.3" && outcome.clientInfo?.alpn == "h2")
    #expect(outcome.serverInfo?.alpn == "h2" && outcome.serverInfo?.resumed == false)
    #expect(outcome.client == .peerClosed && outcome.server == .peerClosed)
  }

  @Test("an expired certificate is refused with its own reason on either side")
  func expired() throws {
    var fixture = TLSFixture()
    fixture.serverValidity = (-3600, -25)
    var outcome = try fixture.exchange()
    #expect(outcome.clientFailure == .expired && outcome.serverFailure == .refusedByPeer)
    fixture = TLSFixture()
    fixture.clientValidity = (-3600, -25)
    outcome = try fixture.exchange()
    #expect(outcome.serverFailure == .expired && outcome.clientFailure == .refusedByPeer)
  }

  @Test("a certificate that begins in more than 20 s is refused, one within 20 s is accepted")
  func notYetValid() throws {
    var fixture = TLSFixture()
    fixture.serverValidity = (40, 3600)
    #expect(try fixture.exchange().clientFailure == .notYetValid)
    fixture.serverValidity = (15, 3600)
    #expect(try fixture.exchange().answer == "ping")
    fixture.serverValidity = (-3600, -10)
    #expect(try fixture.exchange().answer == "ping")
  }

  @Test("a certificate of a foreign authority is refused even when the authority has our name")
  func foreignAuthority() throws {
    var fixture = TLSFixture()
    fixture.serverAuthority = TestAuthority(name: "somebody else")
    #expect(try fixture.exchange().clientFailure == .unknownAuthority)
    fixture = TLSFixture()
    fixture.clientAuthority = TestAuthority()
    let outcome = try fixture.exchange()
    #expect(outcome.serverFailure == .unknownAuthority && outcome.clientFailure == .refusedByPeer)
  }

  @Test("a good certificate of another workload is refused by the caller")
  func identityMismatch() throws {
    let outcome = try TLSFixture().exchange(expecting: TLSFixture.web)
    #expect(outcome.clientFailure == .identityMismatch && outcome.answer.isEmpty)
  }

  @Test("a client without a certificate is refused")
  func noClientCertificate() throws {
    var fixture = TLSFixture()
    fixture.clientHasCertificate = false
    let outcome = try fixture.exchange()
    #expect(outcome.serverFailure == .noCertificate && outcome.clientFailure == .refusedByPeer)
  }

  @Test(
    "a certificate with no URI, two URIs or another form of URI is refused",
    arguments: [
      "DNS:orders.shop", "URI:https://orders.shop/",
      "URI:spiffe://cluster.local/ns/shop/sa/orders,URI:spiffe://cluster.local/ns/shop/sa/web",
    ])
  func malformedIdentity(names: String) throws {
    var fixture = TLSFixture()
    fixture.serverNames = names
    #expect(try fixture.exchange().clientFailure == .malformedIdentity)
  }

  @Test("a certificate that is not for servers is refused by a client")
  func wrongUsage() throws {
    var fixture = TLSFixture()
    fixture.serverUsage = "clientAuth"
    #expect(try fixture.exchange().clientFailure == .wrongUsage)
  }

  @Test("sides without a protocol in common do not talk", arguments: [["http/1.1"], []])
  func noCommonProtocol(offer: [String]) throws {
    var fixture = TLSFixture()
    fixture.clientProtocols = offer
    let outcome = try fixture.exchange()
    #expect(outcome.serverFailure == .noCommonProtocol && outcome.answer.isEmpty)
  }
}
