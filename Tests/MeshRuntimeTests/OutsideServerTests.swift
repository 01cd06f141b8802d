import MeshCore
import MeshRuntime
import Testing

@Suite("TLS to servers outside the mesh", .serialized) struct OutsideServerTests {
  private static func fixture(_ names: String) -> TLSFixture {
    var fixture = TLSFixture()
    fixture.serverNames = names
    return fixture
  }

  @Test(
    "one expected name among the certificate's is enough",
    arguments: [
      ("DNS:a.example.com", ["a.example.com"], []),
      ("DNS:x.example,DNS:A.Example.com", ["a.example.com"], []),
      ("DNS:*.example.com", ["a.example.com"], []),
      ("DNS:b.example.com", ["a.example.com", "b.example.com"], []),
      ("IP:127.0.0.1", ["127.0.0.1"], []),
      ("URI:spiffe://example.com/a", ["no.example.com"], ["spiffe://example.com/a"]),
      ("URI:https://x/,URI:spiffe://example.com/a", [], ["spiffe://example.com/a"]),
    ])
  func accepted(names: String, hosts: [String], uris: [String]) throws {
    let outcome = try Self.fixture(names).exchange(outside: ServerNames(hosts: hosts, uris: uris))[0]
    #expect(outcome.answer == "ping", "\(outcome)")
  }

  @Test(
    "another name is refused",
    arguments: [
      ("DNS:b.example.com", ["a.example.com"], []),
      ("DNS:*.example.com", ["a.b.example.com"], []),
      ("DNS:*.example.com", ["example.com"], []),
      ("DNS:a*.example.com", ["ab.example.com"], []),
      ("DNS:127.0.0.1", ["127.0.0.1"], []),
      ("IP:127.0.0.2", ["127.0.0.1"], []),
      ("URI:spiffe://example.com/b", [], ["spiffe://example.com/a"]),
      ("URI:spiffe://example.com/ab", [], ["spiffe://example.com/a"]),
      ("DNS:a.example.com", [], []),
    ])
  func refused(names: String, hosts: [String], uris: [String]) throws {
    let outcome = try Self.fixture(names).exchange(outside: ServerNames(hosts: hosts, uris: uris))[0]
    #expect(outcome.clientFailure == .nameMismatch, "\(outcome)")
    #expect(outcome.answer == "")
  }

  @Test("the reason names what was expected and what was shown")
  func detail() throws {
    let names = ServerNames(hosts: ["a.example.com"], uris: ["spiffe://a/b"])
    let outcome = try Self.fixture("DNS:b.example.com,URI:spiffe://c/d").exchange(outside: names)[0]
    guard case .tls(.nameMismatch, let detail)? = outcome.client else { throw Unexpected() }
    #expect(
      detail
        == "expected a.example.com or spiffe://a/b, the certificate is for b.example.com, spiffe://c/d (serial number 02)"
    )
  }

  private struct Unexpected: Error {}

  @Test("validity and authority count as they do in the mesh")
  func judged() throws {
    let names = ServerNames(hosts: ["a.example.com"])
    var expired = Self.fixture("DNS:a.example.com")
    expired.serverValidity = (-7200, -3600)
    #expect(try expired.exchange(outside: names)[0].clientFailure == .expired)
    var early = Self.fixture("DNS:a.example.com")
    early.serverValidity = (3600, 7200)
    #expect(try early.exchange(outside: names)[0].clientFailure == .notYetValid)
    let stranger = try Self.fixture("DNS:a.example.com").exchange(outside: names, trusting: TestAuthority().pem)
    #expect(stranger[0].clientFailure == .unknownAuthority)
    var forClients = Self.fixture("DNS:a.example.com")
    forClients.serverUsage = "clientAuth"
    #expect(try forClients.exchange(outside: names)[0].clientFailure == .wrongUsage)
  }

  @Test("sessions resume, and the name is judged again")
  func resumed() throws {
    let outcomes = try Self.fixture("DNS:a.example.com").exchange(
      outside: ServerNames(hosts: ["a.example.com"]), count: 2)
    #expect(outcomes.map { $0.clientInfo?.resumed } == [false, true])
    #expect(outcomes.map(\.answer) == ["ping", "ping"])
  }
}
