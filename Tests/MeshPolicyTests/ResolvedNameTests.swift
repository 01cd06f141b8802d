import MeshCore
import MeshPolicy
import Testing

@Suite("Names and their addresses") struct ResolvedNameTests {
  private static func address(_ last: UInt32) -> SocketAddress { SocketAddress(ipv4: 0x0A00_0000 | last, port: 0) }

  private static func name(_ minimum: Int64 = 5, _ maximum: Int64 = 300) -> ResolvedName {
    ResolvedName(minimumTTL: .seconds(minimum), maximumTTL: .seconds(maximum))
  }

  @Test("an answer counts for its TTL within the bounds, and the next question is a little earlier")
  func bounds() {
    var random = SeededRandom(seed: 7)
    for (ttl, least, most) in [(Int64(60), Int64(54), Int64(60)), (0, 5, 5), (5, 5, 5), (86_400, 270, 300)] {
      for _ in 0..<200 {
        var name = Self.name()
        let wait = name.answered([Self.address(1)], ttl: .seconds(ttl), &random).wait
        #expect((TimeSpan.seconds(least)...TimeSpan.seconds(most)).contains(wait))
      }
    }
  }

  @Test("proxies do not all ask together")
  func jitter() {
    var random = SeededRandom(seed: 7)
    var waits: Set<TimeSpan> = []
    for _ in 0..<50 {
      var name = Self.name()
      waits.insert(name.answered([Self.address(1)], ttl: .seconds(60), &random).wait)
    }
    #expect(waits.count > 40)
  }

  @Test("only other addresses are news, whatever their order")
  func news() {
    var random = SeededRandom(seed: 7)
    var name = Self.name()
    let (a, b) = (Self.address(1), Self.address(2))
    #expect(name.answered([b, a, b], ttl: .seconds(9), &random).isNews)
    #expect(name.addresses == [a, b])
    #expect(!name.answered([a, b], ttl: .seconds(9), &random).isNews)
    #expect(name.answered([b], ttl: .seconds(9), &random).isNews)
    #expect(name.addresses == [b])
  }

  @Test("the last good answer stays, and questions become rare")
  func failures() {
    var random = SeededRandom(seed: 7)
    var name = Self.name()
    _ = name.answered([Self.address(1)], ttl: .seconds(9), &random)
    var waits: [TimeSpan] = []
    for _ in 0..<10 {
      let next = name.failed("no answer", &random)
      #expect(!next.isNews)
      waits.append(next.wait)
    }
    #expect(name.addresses == [Self.address(1)] && name.failure == "no answer")
    #expect(waits[0] <= .seconds(1) && waits[9] >= .seconds(15) && waits.allSatisfy { $0 <= .seconds(30) })
    #expect(!name.answered([Self.address(1)], ttl: .seconds(9), &random).isNews)
    #expect(name.failure == nil)
    #expect(name.failed("again", &random).wait <= .seconds(1))
  }

  @Test("the first question's end is news, even without an answer")
  func settled() {
    var random = SeededRandom(seed: 7)
    var name = Self.name()
    #expect(!name.isSettled)
    #expect(name.failed("no such name", &random).isNews)
    #expect(name.isSettled && name.addresses.isEmpty)
    #expect(!name.failed("no such name", &random).isNews)
  }

  @Test("addresses that no server has are not used, and without others the answer is none")
  func unusable() {
    var random = SeededRandom(seed: 7)
    var name = Self.name()
    let nobody = [
      SocketAddress(ipv4: 0, port: 0), SocketAddress(ipv4: 0xE000_0001, port: 0),
      SocketAddress(high: 0xFF02_0000_0000_0000, low: 1, port: 0), SocketAddress(high: 0, low: 0, port: 0),
    ]
    _ = name.answered(nobody + [Self.address(3)], ttl: .seconds(9), &random)
    #expect(name.addresses == [Self.address(3)])
    #expect(!name.answered(nobody, ttl: .seconds(9), &random).isNews)
    #expect(name.addresses == [Self.address(3)] && name.failure != nil)
  }

  @Test("a set gets its addresses, and the host's name for TLS unless it has one")
  func resolved() {
    let key = ServicePort(service: ServiceName(name: "api", namespace: "shop"), port: 80)
    var set = EndpointSet(
      key: key, endpoints: [], tls: TLSOrigination(trust: .system, hostname: ""),
      names: NameResolution(hosts: ["*.example.com"], port: 443))
    let made = set.resolved("a.example.com", [Self.address(1)])
    #expect(made.endpoints.map(\.address.description) == ["10.0.0.1:443"])
    #expect(made.endpoints.map(\.workload) == ["a.example.com"])
    #expect(made.tls?.hostname == "a.example.com")
    set.tls?.hostname = "fixed.example.com"
    #expect(set.resolved("a.example.com", []).tls?.hostname == "fixed.example.com")
  }
}
