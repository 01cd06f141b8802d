import Glibc
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

@Suite("Callers without a certificate of the mesh") struct PlaintextTests {
  private static let get = "GET / HTTP/1.1\r\nHost: orders:8080\r\n\r\n"

  private static func proxy(_ modes: (UInt16, MeshTLSMode)..., to backend: Backend) throws -> TestProxy {
    let proxy = try TestProxy([.inboundPlaintext])
    let ports = modes.map { number, mode in
      InboundPortConfig(
        port: number, appProtocol: .http, service: .orders, application: backend.address, meshTLS: mode)
    }
    proxy.apply(ConfigUpdate(workload: WorkloadUpdate(name: "orders-0", ports: ports)))
    return proxy
  }

  @Test("strict refuses them before the application hears of it; the other modes take them")
  func modes() throws {
    let backend = Backend.named("app")
    let proxy = try Self.proxy((8080, .strict), (8081, .permissive), (8082, .disabled), to: backend)
    let refused = try proxy.connect().exchange(Self.get)
    #expect(refused.status == 403 && refused.text.hasPrefix("plaintext refused: MeshTLS is strict here"))
    #expect(backend.connections == 0)
    for port in [8081, 8082] {
      #expect(try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: orders:\(port)\r\n\r\n").text == "app")
    }
    #expect(try proxy.count("inbound_plaintext_requests_total", "decision=\"refused\"") == 1)
    #expect(try proxy.count("inbound_plaintext_requests_total", "decision=\"allowed\"") == 2)
    #expect(try proxy.count("response_total", "response_flag=\"UAEX\"", "status_code=\"403\"") == 1)
  }

  @Test("strict holds for HTTP/2 with prior knowledge, and for gRPC calls as PERMISSION_DENIED")
  func http2() throws {
    let proxy = try Self.proxy((8080, .strict), to: Backend.named("app"))
    let peer = try HTTP2Peer(proxy.connect())
    let call = try peer.request(
      HTTP2Peer.head(.post, "/a.B/C", [("content-type", "application/grpc")]), endStream: true)
    #expect(try peer.finish(call).head.value("grpc-status") == "7")
    let request = try peer.request(HTTP2Peer.head(.get, "/"), endStream: true)
    #expect(try peer.finish(request).status == 403)
  }

  @Test("each caller has a row with what it asked, how often, and what became of it")
  func rows() throws {
    let proxy = try Self.proxy((8080, .strict), (8081, .permissive), to: Backend.named("app"))
    let client = try proxy.connect()
    for _ in 0..<3 { _ = try client.exchange("GET / HTTP/1.1\r\nHost: orders:8081\r\n\r\n") }
    _ = try client.exchange(Self.get)
    let rows = try proxy.onLoop { $0.plaintext.rows.values.sorted { $0.key.port < $1.key.port } }
    #expect(rows.map(\.key.port) == [8080, 8081] && rows.map(\.allowed) == [0, 3] && rows.map(\.refused) == [1, 0])
    #expect(rows.allSatisfy { $0.key.caller == .loopback(port: 0) && $0.first > 0 && $0.last >= $0.first })
  }

  @Test("the table is bounded: the caller silent longest leaves, and that is counted") func bounded() throws {
    var limits = ProxyLimits()
    limits.maximumPlaintextCallers = 2
    let ledger = PlaintextLedger(limits)
    func note(_ host: UInt32, at second: UInt64) -> Bool {
      ledger.note(
        SocketAddress(ipv4: host, port: 9), port: 80, isAllowed: true, now: Instant(nanoseconds: second * 1_000_000_000)
      )
    }
    #expect(note(1, at: 1) && note(2, at: 2) && note(1, at: 3))
    #expect(!note(3, at: 4))
    #expect(Set(ledger.rows.keys.map(\.caller.ipv4)) == [1, 3] && ledger.forgotten == 1)
    #expect(ledger.rows.values.first { $0.key.caller.ipv4 == 1 }?.allowed == 2)
  }

  @Test("a caller's process is asked for once a second, and no more than ten callers a second are") func reports() {
    let ledger = PlaintextLedger(ProxyLimits())
    let asked = TestProxy.Asked()
    ledger.report = { _ in asked.add(.orders) }
    func note(_ host: UInt32, at milliseconds: UInt64) {
      ledger.note(
        SocketAddress(ipv4: host, port: 9), port: 80, isAllowed: true,
        now: Instant(nanoseconds: milliseconds * 1_000_000))
    }
    for time in stride(from: UInt64(1_000), to: 1_900, by: 10) { note(1, at: time) }
    #expect(asked.all.count == 1)
    for host in 2..<100 { note(UInt32(host), at: 1_900) }
    #expect(asked.all.count == 2)
    note(1, at: 2_001)
    #expect(asked.all.count == 3)
  }

  @Test("the process at the other end of a connection is found by its socket") func process() throws {
    let backend = Backend.named("app")
    let proxy = try Self.proxy((8080, .permissive), to: backend)
    let contact = Promise<PlaintextContact>()
    _ = try proxy.onLoop { $0.plaintext.report = { contact.put($0) } }
    let client = try proxy.connect()
    _ = try client.exchange(Self.get)
    let caller = try #require(SocketOwner.find(contact.get().peer))
    #expect(caller.processID == getpid() && caller.user == getuid() && caller.ancestors.first == getppid())
    #expect(SocketOwner.find(SocketAddress(ipv4: 0x7F01_0203, port: 1)) == nil)
  }
}
