import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import Testing

@testable import MeshProxy

/// Two proxies between which trust changes while requests pass.
@Suite("Trust that changes")
struct TrustChangeTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n"

  private static func replace(_ proxy: TestProxy, _ anchors: [UInt8], _ revocations: Revocations = Revocations()) throws
  {
    let trust = try PeerTrust(anchorsPEM: anchors, revocations: revocations)
    _ = try proxy.onLoop { $0.trustWatch.replace(trust) }
  }

  @Test("an anchor that is added costs no request and no connection")
  func added() throws {
    let backend = Backend.named("ok")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    let next = TestAuthority(name: "the next root").pem
    for round in 0..<6 {
      #expect(try client.exchange(Self.get).text == "ok")
      if round == 1 { try Self.replace(pair.receiver, pair.anchors + next) }
      if round == 3 { try Self.replace(pair.sender, pair.anchors + next) }
    }
    #expect(try pair.receiver.count("tls_handshakes_total", "direction=\"inbound\"") == 1)
    #expect(try pair.receiver.count("tls_connections_ended_total") == 0)
  }

  @Test("without its anchor a connection takes no more requests; the one under way ends well, and the next is refused")
  func removed() throws {
    let (arrived, gate) = (Signal(), Signal())
    let backend = Backend.answering { _ in
      arrived.raise()
      _ = gate.wait()
      return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    }
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    try client.send(Self.get)
    #expect(arrived.wait())
    try Self.replace(pair.receiver, TestAuthority(name: "the next root").pem)
    gate.raise()
    #expect(try client.message().text == "ok")
    #expect(try pair.receiver.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try client.exchange(Self.get).status == 503)
    #expect(try pair.receiver.count("tls_handshake_failures_total", "reason=\"unknown_authority\"") >= 1)
    #expect(try pair.receiver.count("tls_connections_ended_total") == 0)
  }

  @Test("a connection without its anchor that does not end in time is cut, and counted")
  func cut() throws {
    let (arrived, gate) = (Signal(), Signal())
    let backend = Backend.answering { _ in
      arrived.raise()
      _ = gate.wait()
      return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    }
    defer { gate.raise() }
    var limits = ProxyLimits()
    limits.unprovenGrace = .milliseconds(20)
    let pair = try MeshPair(to: backend, receiverLimits: limits)
    let client = try pair.sender.connect()
    try client.send(Self.get)
    #expect(arrived.wait())
    try Self.replace(pair.receiver, TestAuthority(name: "the next root").pem)
    #expect(try client.message().status == 503)
    let labels = ["direction=\"inbound\"", "reason=\"unknown_authority\""]
    #expect(try pair.receiver.count("tls_connections_ended_total", labels[0], labels[1]) == 1)
  }

  @Test("a denied identity loses the connection it has, and gets no other", arguments: [true, false])
  func denied(byServer: Bool) throws {
    let backend = Backend.named("ok")
    defer { withExtendedLifetime(backend) {} }
    let pair = try MeshPair(to: backend)
    let client = try pair.sender.connect()
    #expect(try client.exchange(Self.get).text == "ok")
    let (judge, denied) = byServer ? (pair.receiver, MeshPair.web) : (pair.sender, MeshPair.orders)
    try Self.replace(judge, pair.anchors, Revocations(identities: [denied]))
    #expect(try judge.count("tls_connections_ended_total", "reason=\"identity_denied\"") == 1)
    #expect(try client.exchange(Self.get).status == 503)
    #expect(try judge.count("tls_handshake_failures_total", "reason=\"identity_denied\"") >= 1)
    try Self.replace(judge, pair.anchors)
    #expect(try client.exchange(Self.get).text == "ok")
  }

  @Test("trust that cannot be used leaves the old in force, and the same again changes nothing")
  func keeper() throws {
    let authority = TestAuthority()
    let anchors = String(decoding: authority.pem, as: UTF8.self)
    var keeper = IdentityKeeper(
      identity: MeshPair.web,
      current: .init(
        key: try WorkloadKey(), chainPEM: [], trust: try PeerTrust(anchorsPEM: authority.pem), notBefore: 0,
        notAfter: 1, receivedAt: 0))
    #expect(throws: TLSContextError.noTrustAnchors) { _ = try keeper.replaceTrust(anchorsPEM: "", Revocations()) }
    #expect(throws: TLSContextError.self) {
      _ = try keeper.replaceTrust(anchorsPEM: anchors, Revocations(lists: ["nonsense"]))
    }
    #expect(keeper.current?.trust.anchorCount == 1)
    let same = try keeper.replaceTrust(anchorsPEM: anchors, Revocations())
    #expect(same == nil)
    let denied = Revocations(identities: [MeshPair.orders])
    let changed = try keeper.replaceTrust(anchorsPEM: anchors, denied)
    #expect(changed?.revocations == denied && keeper.current?.trust === changed)
    let again = try keeper.replaceTrust(anchorsPEM: anchors, denied)
    #expect(again == nil)
  }

  @Test("of refusals of one kind one a second is told, with how many it stands for, and of another kind at once")
  func log() {
    var log = TLSFailureLog()
    let start = Instant(nanoseconds: 5_000_000_000)
    let lines = [
      log.admit(.expired, now: start), log.admit(.expired, now: start + .milliseconds(500)),
      log.admit(.expired, now: start + .milliseconds(999)), log.admit(.revoked, now: start + .milliseconds(999)),
      log.admit(.expired, now: start + .seconds(1)), log.admit(.expired, now: start + .seconds(3)),
    ]
    #expect(lines == [0, nil, nil, 0, 2, 0])
  }
}
