import MeshAPI
import MeshCore
import MeshPolicy
import SwiftProtobuf
import Testing

@Suite("Wire form of MeshTLS and egress") struct SecurityConversionTests {
  private static func workload(_ mode: MeshTLSMode, _ egress: EgressPolicy) -> WorkloadConfig {
    var port = InboundPort(port: 8080, appProtocol: .http, service: nil)
    port.meshTLS = mode
    var config = WorkloadConfig(
      name: "orders-1", namespace: "shop",
      identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders"), ports: [port])
    config.egress = egress
    return config
  }

  @Test("every mode survives, with every part of the policy", arguments: MeshTLSMode.allCases)
  func roundTrip(_ mode: MeshTLSMode) throws {
    let egress = EgressPolicy(
      mode: .registryOnly, allow: [.init(hosts: ["a.com", "10.0.0.0/8"], ports: [80, 443], name: "egress.allow[0]")],
      deny: [.init(hosts: ["*"], name: "egress.deny[0]")])
    for policy in [egress, EgressPolicy()] {
      let config = Self.workload(mode, policy)
      #expect(try WorkloadConfig(Apus_V1_Workload(config)) == config)
    }
  }

  @Test("a mode, a port and a rule that are none are refused") func mistakes() {
    var message = Apus_V1_Workload(Self.workload(.strict, EgressPolicy()))
    message.ports[0].meshTls = "off"
    #expect(throws: ConversionError.self) { try WorkloadConfig(message) }
    message.ports[0].meshTls = ""
    message.egress.deny = [.with { $0.hosts = [""] }]
    #expect(throws: ConversionError.self) { try WorkloadConfig(message) }
    message.egress.deny = [.with { $0.ports = [70_000] }]
    #expect(throws: ConversionError.self) { try WorkloadConfig(message) }
    message.egress.deny = Array(repeating: .init(), count: ConversionLimits.standard.maximumEgressRules + 1)
    #expect(throws: ConversionError.self) { try WorkloadConfig(message) }
  }
}
