import MeshCore
import MeshPolicy
import Testing

@Suite("Names outside the mesh") struct ExternalHostTests {
  private static func port(_ name: String, _ port: UInt16 = 80) -> ServicePort {
    ServicePort(service: ServiceName(name: name, namespace: "shop"), port: port)
  }

  private static let table = ExternalHostTable(
    ExternalHosts([
      .init(host: "*.example.com", service: port("wide")),
      .init(host: "*.eu.example.com", service: port("europe")),
      .init(host: "api.example.com", service: port("api")),
      .init(host: "api.example.com", service: port("later")),
      .init(host: "api.example.com", service: port("secure", 443)),
    ]))

  @Test(
    "the name itself goes first, then the longest wildcard",
    arguments: [
      ("api.example.com", "api"), ("API.Example.COM.", "api"), ("api.example.com:80", "api"),
      ("www.example.com", "wide"),
      ("a.b.example.com", "wide"), ("a.eu.example.com", "europe"), ("eu.example.com", "wide"),
    ])
  func found(authority: String, service: String) {
    #expect(Self.table.service(ofAuthority: authority, defaultPort: 80) == Self.port(service))
  }

  @Test(
    "what is not covered is not found",
    arguments: [
      "example.com", "badexample.com", "api.example.com:8080", "www.example.com:443", "api.example.com:0",
      ".example.com",
      "a..example.com", "api.example.com:80x", "api.example.com:99999", "\u{212A}.example.com", "10.0.0.1", "",
    ])
  func missing(authority: String) {
    #expect(Self.table.service(ofAuthority: authority, defaultPort: 80) == nil)
  }

  @Test("ports stand apart")
  func ports() {
    #expect(Self.table.service(ofAuthority: "api.example.com", defaultPort: 443) == Self.port("secure", 443))
    #expect(Self.table.service(ofAuthority: "api.example.com:443", defaultPort: 80) == Self.port("secure", 443))
  }

  @Test("a wildcard covers what is below it and nothing else")
  func covers() {
    #expect(HostName.covers("*.example.com", "a.example.com"))
    #expect(HostName.covers("*.example.com", "a.b.example.com"))
    #expect(!HostName.covers("*.example.com", "example.com"))
    #expect(!HostName.covers("*.example.com", ".example.com"))
    #expect(!HostName.covers("*.example.com", "aexample.com"))
    #expect(HostName.covers("example.com", "example.com"))
    #expect(!HostName.covers("example.com", "a.example.com"))
  }
}
