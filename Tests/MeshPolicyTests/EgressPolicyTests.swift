import MeshCore
import MeshPolicy
import Testing

@Suite("Egress") struct EgressPolicyTests {
  private static let rules = (
    allow: EgressPolicy.Rule(hosts: ["*.good.com", "10.1.0.0/16", "2001:db8::/32"], name: "allow[0]"),
    web: EgressPolicy.Rule(hosts: ["web.org"], ports: [443], name: "allow[1]"),
    deny: EgressPolicy.Rule(hosts: ["bad.good.com", "10.1.2.3"], name: "deny[0]")
  )

  private static func policy(_ mode: EgressPolicy.Mode) -> EgressPolicy {
    EgressPolicy(mode: mode, allow: [rules.allow, rules.web], deny: [rules.deny])
  }

  @Test(
    "a deny rule goes before the registry, the registry before an allow rule, and the mode has the last word",
    arguments: [
      ("a.good.com", 80, false, "allow[0]", true), ("x.y.good.com", 22, false, "allow[0]", true),
      ("good.com", 80, false, "REGISTRY_ONLY", false), ("evilgood.com", 80, false, "REGISTRY_ONLY", false),
      ("web.org", 443, false, "allow[1]", true), ("web.org", 80, false, "REGISTRY_ONLY", false),
      ("bad.good.com", 80, false, "deny[0]", false), ("bad.good.com", 80, true, "deny[0]", false),
      ("other.net", 80, true, "registry", true), ("other.net", 80, false, "REGISTRY_ONLY", false),
    ])
  func hosts(_ host: String, _ port: Int, _ isRegistered: Bool, _ reason: String, _ isAllowed: Bool) {
    let decision = Self.policy(.registryOnly).decide(host: host, port: UInt16(port), isRegistered: isRegistered)
    #expect(decision.reason == reason && decision.isAllowed == isAllowed)
    // What the mode decides is otherwise under the other one; rules are not touched by it.
    let open = Self.policy(.allowAny).decide(host: host, port: UInt16(port), isRegistered: isRegistered)
    #expect(open.isAllowed == (isAllowed || reason == "REGISTRY_ONLY"))
  }

  @Test(
    "addresses are held against blocks, never against names",
    arguments: [
      ("10.1.255.9:80", true), ("10.2.0.1:80", false), ("10.1.2.3:80", false), ("[2001:db8:1::1]:443", true),
      ("[2001:db9::1]:443", false), ("[::ffff:10.1.0.9]:80", true),
    ])
  func addresses(_ text: String, _ isAllowed: Bool) throws {
    let address = try #require(SocketAddress(text))
    #expect(Self.policy(.registryOnly).decide(address).isAllowed == isAllowed)
  }

  @Test("a star is every name, and no address") func star() throws {
    let policy = EgressPolicy(mode: .registryOnly, allow: [.init(hosts: ["*"], name: "all")])
    #expect(policy.decide(host: "a.b", port: 1).isAllowed)
    #expect(try !policy.decide(#require(SocketAddress("192.0.2.1:80"))).isAllowed)
  }

  @Test(
    "a block is an address with as many bits as it has at most",
    arguments: [
      ("10.0.0.0/8", true), ("10.0.0.0/33", false), ("10.0.0.0/", false), ("10.0.0.0/-1", false), ("10.0.0.1", true),
      ("10.0.0.1:80", false), ("::/0", true), ("2001:db8::/129", false), ("[::1]", false), ("a.example.com", false),
      ("", false),
    ])
  func blocks(_ text: String, _ isBlock: Bool) { #expect((AddressBlock(text) != nil) == isBlock) }

  @Test("a block of no bits has every address") func everything() throws {
    let block = try #require(AddressBlock("::/0"))
    #expect(try block.contains(#require(SocketAddress("192.0.2.1:80"))))
  }
}
