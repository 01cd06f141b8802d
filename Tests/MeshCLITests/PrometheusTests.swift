import MeshControl
import Testing

@testable import MeshCLI

@Suite struct PrometheusTests {
  @Test("names, labels, escapes, timestamps and special values are read; comments and broken lines are passed over")
  func parse() {
    let page = #"""
      # HELP request_total Requests.
      # TYPE request_total counter
      request_total{direction="inbound",tls="true"} 12
      plain 1.5e3 1700000000
      escaped{path="a\\b\"c\nd",other=""} 1
      spaced { a="1" , b="2" , } 3
      up +Inf
      nothing NaN
      broken{a="1" 4
      1bad 5
      novalue{a="1"}
      """#
    let samples = PrometheusText.parse(Array(page.utf8))
    #expect(samples.map(\.name) == ["request_total", "plain", "escaped", "spaced", "up", "nothing"])
    #expect(samples[0].labels == ["direction": "inbound", "tls": "true"])
    #expect(samples[0].value == 12)
    #expect(samples[1].value == 1500)
    #expect(samples[2].labels == ["path": "a\\b\"c\nd", "other": ""])
    #expect(samples[3] == MetricSample(name: "spaced", labels: ["a": "1", "b": "2"], value: 3))
    #expect(samples[4].value == .infinity)
    #expect(samples[5].value.isNaN)
  }

  @Test("a page cut at any byte reads without trapping and never invents a series")
  func truncated() {
    let page = Array("a{x=\"1\",y=\"\\\"\"} 5\nb 7\n".utf8)
    for count in 0...page.count {
      let names = PrometheusText.parse(page[..<count]).map(\.name)
      #expect(names.allSatisfy { $0 == "a" || $0 == "b" })
    }
  }

  @Test("quantiles interpolate inside a bucket as Prometheus does")
  func quantiles() {
    let histogram = Histogram([1: 10, 2: 30, 5: 40, .infinity: 40])
    #expect(histogram.quantile(0.5) == 1.5)
    #expect(histogram.quantile(0.25) == 1)
    #expect(histogram.quantile(0.1) == 0.4)
    #expect(histogram.quantile(1) == 5)
  }

  @Test("a quantile in the +Inf bucket is the highest finite bound")
  func beyond() {
    #expect(Histogram([1: 1, 10: 2, .infinity: 100]).quantile(0.99) == 10)
  }

  @Test("a histogram without observations, or without +Inf, has no quantiles")
  func empty() {
    #expect(Histogram().quantile(0.5) == nil)
    #expect(Histogram([1: 0, .infinity: 0]).quantile(0.5) == nil)
    #expect(Histogram([1: 5, 2: 5]).quantile(0.5) == nil)
    #expect(Histogram([1: 5, .infinity: 5]).quantile(1.5) == nil)
  }

  @Test("a cumulative count that dips counts as flat")
  func dips() {
    let value = Histogram([1: 10, 2: 9, 4: 20, .infinity: 20]).quantile(0.75)
    #expect(value == 3)
  }

  @Test("a counter that fell was reset and counts from zero")
  func reset() {
    let before = Scrape([.init(name: "a", value: 100), .init(name: "b", value: 1)])
    let after = Scrape([.init(name: "a", value: 7), .init(name: "b", value: 4), .init(name: "c", value: 2)])
    let moved = Dictionary(uniqueKeysWithValues: after.increase(since: before).map { ($0.name, $0.value) })
    #expect(moved == ["a": 7, "b": 3, "c": 2])
  }

  @Test("gRPC calls that failed behind an HTTP 200 count as failures")
  func grpcFailures() {
    let page = #"""
      response_total{direction="inbound",status_code="200",classification="success",response_flag="-",grpc_status="0"} 3
      response_total{direction="inbound",status_code="200",classification="failure",response_flag="-",grpc_status="14"} 1
      """#
    var stats = TrafficStats(seconds: 1)
    for sample in PrometheusText.parse(Array(page.utf8)) { stats.add(sample) }
    #expect(stats.successRate == 0.75)
  }

  @Test("services add up their workloads' inbound series; callers' outbound series become shares by backend")
  func meshStats() {
    func page(_ factor: Double) -> Scrape {
      Scrape([
        .init(name: "request_total", labels: ["direction": "inbound", "tls": "true"], value: 10 * factor),
        .init(name: "request_total", labels: ["direction": "inbound", "tls": "false"], value: 2 * factor),
        .init(
          name: "response_total", labels: ["direction": "inbound", "classification": "success"], value: 9 * factor),
        .init(
          name: "response_total", labels: ["direction": "inbound", "classification": "failure"], value: 3 * factor),
        .init(
          name: "request_total", labels: ["direction": "outbound", "dst_service": "orders", "backend": "v1"],
          value: 30 * factor),
        .init(
          name: "request_total", labels: ["direction": "outbound", "dst_service": "orders", "backend": "v2"],
          value: 10 * factor),
      ])
    }
    let targets = ["w1", "w2", "new"].map {
      ScrapeTarget(workload: $0, service: "web", namespace: "shop", address: "127.66.0.2", isReady: $0 != "new")
    }
    let stats = MeshStats(
      targets: targets, earlier: ["w1": page(1), "w2": page(1)], later: ["w1": page(2), "w2": page(2), "new": page(9)],
      seconds: 2)
    #expect(stats.services.count == 1)
    #expect(stats.services[0].meshed == 3)
    #expect(stats.services[0].ready == 2)
    #expect(stats.services[0].stats.requestsPerSecond == 12)
    #expect(stats.services[0].stats.successRate == 0.75)
    #expect(stats.services[0].stats.securedShare == 20.0 / 24)
    #expect(stats.backends.map(\.backend) == ["v1", "v2"])
    #expect(stats.backends.map(\.share) == [0.75, 0.25])
  }
}
