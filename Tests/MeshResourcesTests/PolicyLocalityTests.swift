import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Zones and subsets in manifests") struct PolicyLocalityTests: PolicySuite {
  @Test("a preference for zones has its defaults, or every value that is written")
  func locality() throws {
    #expect(try settings("balancer: {locality: {}}") == [.locality(LocalityPolicy())])
    #expect(try settings("balancer: {locality: {enabled: false}}") == [.locality(nil)])
    let found = try settings(
      "balancer: {locality: {enabled: true, overprovisioningPercent: 200, activeRequestsPerEndpoint: 10, "
        + "failover: [{from: a, to: [b, c]}, {from: \"*\", to: [d]}], "
        + "distribution: [{from: b, to: {b: 80, a: 20}}]}}")
    #expect(
      found == [
        .locality(
          LocalityPolicy(
            overprovisioningPercent: 200,
            failover: [.init(from: .zone("a"), to: ["b", "c"]), .init(from: .any, to: ["d"])],
            distribution: [
              .init(from: .zone("b"), to: [.init(zone: "b", percent: 80), .init(zone: "a", percent: 20)])
            ], activeRequestsPerEndpoint: 10))
      ])
    #expect(
      found.map(\.text) == [
        "b -> b 80 %, a 20 %; a -> b -> c; * -> d; overprovisioning 200 %; at most 10 requests per endpoint"
      ])
    #expect(
      try settings("balancer: {locality: {}}").map(\.text) == ["own zone, own region, others; overprovisioning 140 %"])
  }

  @Test("subsets have their defaults, or every value that is written")
  func subset() throws {
    #expect(
      try settings("balancer: {subset: {header: X-Version, label: version}}") == [
        .subset(SubsetPolicy(header: "x-version", label: "version"))
      ])
    let found = try settings(
      "balancer: {subset: {header: x-shard, label: a.example/shard, default: s-0, fallback: default}}")
    #expect(
      found == [
        .subset(SubsetPolicy(header: "x-shard", label: "a.example/shard", defaultValue: "s-0", fallback: .default))
      ])
    #expect(found.map(\.text) == ["label a.example/shard by the header x-shard, without it s-0, fallback default"])
    #expect(try settings("balancer: {subset: {enabled: false}}") == [.subset(nil)])
    #expect(
      try settings("balancer: {subset: {header: a, label: b, fallback: none}}") == [
        .subset(SubsetPolicy(header: "a", label: "b", fallback: .none))
      ])
  }

  @Test(
    "mistakes",
    arguments: [
      .block(
        "balancer.locality.overprovisioningPercent", "must be a whole number from 100 to 10000, not 99",
        "balancer: {locality: {overprovisioningPercent: §99}}"),
      .block(
        "balancer.locality.enabled", "is false, and the fields beside it say how it goes; remove them",
        "balancer: {locality: {enabled: §false, activeRequestsPerEndpoint: 1}}"),
      .block(
        "balancer.locality.distribution[0].to",
        "the zones get 90 percent together; make it 100; a zone that gets nothing is left out",
        "balancer: {locality: {distribution: [{from: a, to: §{a: 80, b: 10}}]}}"),
      .block(
        "balancer.locality.distribution[0].to.b", "must be a whole number from 1 to 100, not 0",
        "balancer: {locality: {distribution: [{from: a, to: {a: 100, b: §0}}]}}"),
      .block(
        "balancer.locality.failover[0].to", "names a zone twice; remove one of them",
        "balancer: {locality: {failover: [{from: a, to: §[b, b]}]}}"),
      .block(
        "balancer.locality.failover[0].to", "must not be empty; list the zones that take over",
        "balancer: {locality: {failover: [{from: a, to: §[]}]}}"),
      .block(
        "balancer.locality.failover[1].from", "the zone has an entry already; join the two",
        "balancer: {locality: {failover: [{from: a, to: [b]}, {from: §a, to: [c]}]}}"),
      .block(
        "balancer.locality.failover",
        "clients of one zone have a distribution and an order for fail-over; remove one: in a distribution the zones "
          + "that are well share what others cannot carry",
        "balancer: {locality: {failover: §[{from: a, to: [b]}], distribution: [{from: a, to: {a: 100}}]}}"),
      .block(
        "balancer.locality.failover[0].from", "is required; write the clients' zone, or \"*\" for every other",
        "balancer: {locality: {failover: [§{to: [b]}]}}"),
      .block(
        "balancer.subset.label", "is required; name the label that tells the endpoints apart",
        "balancer: {subset: §{header: x-version}}"),
      .block(
        "balancer.subset.fallback", "there is no default; write default: VALUE beside it, or fallback: any",
        "balancer: {subset: {header: x-version, label: version, fallback: §default}}"),
      .block(
        "balancer.subset.label", "\"a b\" is not a label key; use name or example.com/name",
        "balancer: {subset: {header: x-version, label: §\"a b\"}}"),
      .ofRoute("balancer.locality", "balancer: {locality: §{}}"),
    ] as [PolicyMistake])
  func mistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("zones of a slice are read, and hints have no effect") func slices() throws {
    let result = ManifestParser.parse(
      file: "f.yaml",
      text: """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: a, labels: {kubernetes.io/service-name: a}}
        addressType: IPv4
        ports: [{port: 80}]
        endpoints:
        - {addresses: [10.0.0.1], zone: west-1, nodeName: n, hints: {forZones: [{name: west-1}]}}
        - {addresses: [10.0.0.2]}
        """)
    #expect(result.errors.map { "\($0.severity) \($0.field)" } == ["warning endpoints[0].hints"])
    guard case .endpointSlice(let slice) = try #require(result.objects.first).value else { return }
    #expect(slice.endpoints.map(\.zone) == ["west-1", ""])
  }

  @Test(
    "trafficDistribution of a Service, and what it takes for another",
    arguments: [
      ("PreferClose", true, 0), ("PreferSameZone", true, 0), ("PreferSameNode", true, 1),
    ])
  func trafficDistribution(_ word: String, _ prefers: Bool, _ warnings: Int) throws {
    let result = ManifestParser.parse(
      file: "f.yaml",
      text:
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {trafficDistribution: \(word), ports: [{port: 80}]}\n"
    )
    #expect(result.errors.count == warnings && result.errors.allSatisfy { $0.severity == .warning })
    guard case .service(let service) = try #require(result.objects.first).value else { return }
    #expect(service.prefersOwnZone == prefers)
  }
}
