import ArgumentParser
import MeshControl
import MeshResources
import Testing

@testable import MeshCLI

@Suite struct DemoTests {
  @Test("the demo's manifests are valid, and hold a service and an account for every member")
  func manifests() {
    var keys: [String] = []
    for (file, text) in DemoShop.manifests(.first) {
      let result = ManifestParser.parse(file: file, text: text)
      #expect(result.errors.isEmpty)
      keys += result.objects.map { "\($0.value.key)" }
    }
    for member in DemoShop.members {
      #expect(keys.contains("Service shop/\(member.service)"))
      #expect(keys.contains("ServiceAccount shop/\(member.service)"))
    }
    #expect(keys.contains("Service shop/orders"))
    #expect(keys.contains("TrafficSplit shop/orders"))
  }

  @Test("so are those of its scenarios, and what chaos does has an end")
  func scenarios() {
    let end = "2030-01-01T00:00:00Z"
    let texts = DemoScenario.allCases.flatMap { $0.manifests.values.compactMap(\.self) } + [DemoShop.chaos(end: end)]
    for text in texts + DemoShop.Act.allCases.map(DemoShop.rollout) {
      #expect(ManifestParser.parse(file: "f.yaml", text: text).errors == [])
    }
    let text = DemoShop.chaos(end: end)
    #expect(ManifestParser.parse(file: "f.yaml", text: text).objects.count == 2)
    for part in text.split(separator: "---\n") {
      #expect(part.contains("end: \"\(end)\"") && part.contains("clients: [shop/orders-v1]"))
    }
    #expect(DemoScenario.split.manifests.isEmpty)
    // The split would go before the rollout's own weights only by being there.
    #expect(DemoScenario.canary.manifests[DemoShop.splitFile] == .some(nil))
  }

  /// Of a shop in the scenario of chaos.
  private func chaos(isStruck: Bool, web: Double, orders: Double, faults: Double, retries: Double) -> [String] {
    func page(_ service: String, _ factor: Double) -> Scrape {
      let rate = service == "web" ? web : service.hasPrefix("orders") ? orders : 1
      let outbound = ["direction": "outbound", "dst_service": "x"]
      return Scrape([
        .init(name: "request_total", labels: ["direction": "inbound", "tls": "true"], value: factor * 1000),
        .init(name: "response_total", labels: ["direction": "inbound"], value: factor * 1000 * rate),
        .init(
          name: "response_total", labels: ["direction": "inbound", "classification": "failure"],
          value: factor * 1000 * (1 - rate)),
        .init(name: "retries_total", labels: outbound, value: service == "web" ? factor * retries : 0),
        .init(
          name: "injected_faults_total",
          labels: outbound.merging(["fault_injection": "shop/f", "fault": "abort"]) { $1 },
          value: service == "orders-v1" ? factor * faults : 0),
      ])
    }
    let targets = DemoShop.members.map {
      ScrapeTarget(workload: $0.service, service: $0.service, namespace: "shop", address: "127.66.0.2")
    }
    let names = targets.map(\.workload)
    let stats = MeshStats(
      targets: targets, earlier: Dictionary(uniqueKeysWithValues: names.map { ($0, page($0, 0)) }),
      later: Dictionary(uniqueKeysWithValues: names.map { ($0, page($0, 1)) }), seconds: 5)
    #expect(stats.faults.map(\.count) == (faults > 0 ? [faults] : []))
    return DemoReport(stats, split: .first, scenario: .chaos, isStruck: isStruck).complaints
  }

  @Test("chaos may break orders and nothing else, and must be there")
  func chaosReport() {
    #expect(chaos(isStruck: true, web: 0.999, orders: 0.85, faults: 100, retries: 90) == [])
    #expect(chaos(isStruck: false, web: 1, orders: 1, faults: 0, retries: 0) == [])
    // Of the versions of orders, only the first has traffic in this scenario.
    #expect(chaos(isStruck: false, web: 1, orders: 0.85, faults: 0, retries: 0).count == 1)
    #expect(chaos(isStruck: true, web: 0.9, orders: 0.85, faults: 100, retries: 90).count == 1)
    #expect(
      chaos(isStruck: true, web: 1, orders: 0.85, faults: 0, retries: 0)
        == ["no faults were injected", "web repeated nothing"])
  }

  @Test("the demo runs its members with the flags that apus run takes")
  func members() throws {
    for member in DemoShop.members + [DemoShop.customers(requestsPerSecond: 50)] {
      let arguments = DemoShop.runArguments(member, shop: "/bin/apus-shop", state: "/s")
      let options = try RunCommand.parse(Array(arguments.dropFirst(2))).options()
      #expect(options.service == member.service)
      #expect(options.program.prefix(2) == ["/bin/apus-shop", member.arguments[0]])
    }
  }

  /// A measurement of a shop where every service got `requests`, and orders-v2 its share of the calls to orders.
  private func report(requests: Double, secured: Double = 1, success: Double = 1, shareOfV2: Double) -> DemoReport {
    func page(_ factor: Double) -> Scrape {
      let inbound = ["direction": "inbound"]
      return Scrape([
        .init(
          name: "request_total", labels: ["direction": "inbound", "tls": "true"],
          value: factor * requests * secured),
        .init(name: "request_total", labels: inbound, value: factor * requests * (1 - secured)),
        .init(name: "response_total", labels: inbound, value: factor * requests * success),
        .init(
          name: "response_total", labels: ["direction": "inbound", "classification": "failure"],
          value: factor * requests * (1 - success)),
        .init(
          name: "request_total", labels: ["direction": "outbound", "dst_service": "orders", "backend": "orders-v1"],
          value: factor * requests * (1 - shareOfV2)),
        .init(
          name: "request_total", labels: ["direction": "outbound", "dst_service": "orders", "backend": "orders-v2"],
          value: factor * requests * shareOfV2),
      ])
    }
    let targets = DemoShop.members.map {
      ScrapeTarget(workload: $0.service, service: $0.service, namespace: "shop", address: "127.66.0.2")
    }
    let names = targets.map(\.workload)
    return DemoReport(
      MeshStats(
        targets: targets, earlier: Dictionary(uniqueKeysWithValues: names.map { ($0, page(0)) }),
        later: Dictionary(uniqueKeysWithValues: names.map { ($0, page(1)) }), seconds: 5),
      split: .first)
  }

  @Test("a healthy shop has no complaints")
  func healthy() {
    #expect(report(requests: 1000, shareOfV2: 0.1).complaints.isEmpty)
    #expect(report(requests: 1000, success: 0.97, shareOfV2: 0.12).complaints.isEmpty)
  }

  @Test("failures, plaintext, silence and a wrong split are complaints")
  func unhealthy() {
    #expect(report(requests: 1000, success: 0.5, shareOfV2: 0.1).complaints.count == DemoShop.members.count)
    #expect(report(requests: 1000, secured: 0.99, shareOfV2: 0.1).complaints.count == DemoShop.members.count)
    #expect(report(requests: 0, shareOfV2: 0.1).complaints.contains("web got no requests"))
    #expect(report(requests: 1000, shareOfV2: 0.3).complaints.count == 1)
  }
}
