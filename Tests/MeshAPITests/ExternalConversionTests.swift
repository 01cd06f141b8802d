import MeshAPI
import MeshCore
import MeshPolicy
import SwiftProtobuf
import Testing

@Suite("Wire form of what is outside the mesh") struct ExternalConversionTests {
  private static let key = ServicePort(service: ServiceName(name: "api", namespace: "shop"), port: 80)

  private static let originations: [TLSOrigination?] = [
    nil, TLSOrigination(trust: .system, hostname: "api.example.com"), TLSOrigination(trust: .nobody, hostname: ""),
    TLSOrigination(
      trust: .authorities("PEM"), hostname: "10.0.0.1", alternativeHosts: ["a.example.com"],
      alternativeURIs: ["spiffe://a/b"], minimumVersion: .tls13),
    TLSOrigination(
      trust: .system, hostname: "", clientCertificate: .init(certificateFile: "/c.pem", keyFile: "/k.pem")),
  ]

  @Test("TLS goes over the wire and back", arguments: originations)
  func tls(origination: TLSOrigination?) throws {
    let set = EndpointSet(key: Self.key, endpoints: [], tls: origination)
    let bytes: [UInt8] = try Apus_V1_Endpoints(set).serializedBytes()
    #expect(try EndpointSet(key: Self.key, Apus_V1_Endpoints(serializedBytes: bytes)) == set)
  }

  @Test("hosts go over the wire and back")
  func hosts() throws {
    let hosts = ExternalHosts([
      .init(host: "*.example.com", service: Self.key), .init(host: "api.example.com", service: Self.key),
    ])
    let bytes: [UInt8] = try Apus_V1_Resource(.hosts(hosts)).serializedBytes()
    let read = try MeshResource(Apus_V1_Resource(serializedBytes: bytes))
    #expect(read == .hosts(hosts))
    #expect(read.key == .hosts)
  }

  @Test("a resolution goes over the wire and back, without what a proxy found")
  func names() throws {
    let names = NameResolution(
      hosts: ["a.example.com", "*.example.org"], port: 443, minimumTTL: .seconds(2), maximumTTL: .seconds(9))
    let set = EndpointSet(key: Self.key, endpoints: [], names: names)
    let found = set.resolved("a.example.com", [SocketAddress(ipv4: 0x0A00_0001, port: 0)])
    #expect(found.endpoints.count == 1)
    for one in [set, found] {
      let bytes: [UInt8] = try Apus_V1_Endpoints(one).serializedBytes()
      #expect(try EndpointSet(key: Self.key, Apus_V1_Endpoints(serializedBytes: bytes)) == set)
    }
  }

  @Test("a resolution that cannot be is refused")
  func refusedNames() {
    func problem(_ change: (inout Apus_V1_Endpoints) -> Void) -> String? {
      var message = Apus_V1_Endpoints()
      message.names = .with {
        $0.hosts = ["a.example.com"]
        $0.port = 443
        $0.minimumTtlMs = 1_000
        $0.maximumTtlMs = 2_000
      }
      change(&message)
      do throws(ConversionError) {
        _ = try EndpointSet(key: Self.key, message)
        return nil
      } catch {
        return error.field
      }
    }
    #expect(problem { _ in } == nil)
    #expect(problem { $0.names.hosts = [] } == "names.hosts")
    #expect(problem { $0.names.hosts = ["*"] } == "names.hosts")
    #expect(problem { $0.names.port = 0 } == "names.port")
    #expect(problem { $0.names.minimumTtlMs = 0 } == "names.minimum_ttl_ms")
    #expect(problem { $0.names.minimumTtlMs = 3_000 } == "names.minimum_ttl_ms")
    #expect(problem { $0.endpoints = [.with { $0.address = "10.0.0.1:80" }] } == "names")
  }

  @Test("TLS that says not whom to trust, or too much, is refused")
  func refusedTLS() {
    func problem(_ change: (inout Apus_V1_TlsOrigination) -> Void) -> String? {
      var message = Apus_V1_Endpoints()
      message.tls.system = true
      message.tls.hostname = "api.example.com"
      change(&message.tls)
      do throws(ConversionError) {
        _ = try EndpointSet(key: Self.key, message)
        return nil
      } catch {
        return error.field
      }
    }
    #expect(problem { _ in } == nil)
    #expect(problem { $0.trust = nil } == "tls.trust")
    #expect(problem { $0.authoritiesPem = "" } == "tls.authorities_pem")
    #expect(problem { $0.authoritiesPem = String(repeating: "x", count: 600_000) } == "tls.authorities_pem")
    #expect(problem { $0.hostname = "*.example.com" } == "tls.hostname")
    #expect(problem { $0.hostname = "a\r\nb" } == "tls.hostname")
    #expect(problem { $0.alternativeHosts = ["UPPER.example.com"] } == "tls.alternative_hosts")
    #expect(problem { $0.alternativeUris = [""] } == "tls.alternative_uris")
    #expect(problem { $0.clientCertificate.certificateFile = "/c.pem" } == "tls.client_certificate")
    #expect(
      problem {
        $0.clientCertificate.certificateFile = "/c.pem"
        $0.clientCertificate.keyFile = "k.pem"
      } == "tls.client_certificate")
    #expect(problem { $0.alternativeUris = Array(repeating: "a:b", count: 6) } == "tls.alternatives")
  }

  @Test(
    "a host that is no name is refused", arguments: ["", "*", "*.", "a..b", "*.*.example.com", "A.example.com", "a b"])
  func refusedHost(host: String) {
    var message = Apus_V1_Resource()
    message.name = Apus_V1_ResourceName(.hosts)
    message.hosts.hosts = [
      .with {
        $0.host = host; $0.service = "api.shop:80"
      }
    ]
    #expect(throws: ConversionError.self) { try MeshResource(message) }
  }
}
