import MeshCore
import MeshResources
import Testing

@testable import MeshControl

@Suite("Rollouts: gates and samples") struct RolloutGateTests {
  private func judge(
    _ gates: RolloutGates, canary: VersionSample, stable: VersionSample = RolloutBench.sample(1000),
    comparing: Bool = true
  ) -> RolloutJudgement {
    var samples = RolloutSamples()
    (samples.canary, samples.stable) = (canary, stable)
    return gates.judge(samples, comparing: comparing)
  }

  @Test("the success rate has a floor, exactly") func minimum() {
    var gates = RolloutGates()
    gates.successRate = .init(minimum: 99_500)
    #expect(judge(gates, canary: RolloutBench.sample(199, 1)).passed)
    let failed = judge(gates, canary: RolloutBench.sample(198, 2))
    #expect(failed.failed && failed.text == "success rate 99 % (at least 99.5 %)")
    // Rounded down: what just misses its limit does not read as if it met it.
    #expect(judge(gates, canary: RolloutBench.sample(9_949, 51)).text == "success rate 99.49 % (at least 99.5 %)")
  }

  @Test("the success rate may be a little below the stable version's") func drop() {
    var gates = RolloutGates()
    gates.successRate = .init(maximumDrop: 2_000)
    let stable = RolloutBench.sample(970, 30)
    #expect(judge(gates, canary: RolloutBench.sample(950, 50), stable: stable).passed)
    let failed = judge(gates, canary: RolloutBench.sample(949, 51), stable: stable)
    #expect(failed.text == "success rate 94.9 % (at most 2 % below 97 % of the stable version)")
    #expect(judge(gates, canary: RolloutBench.sample(0, 1000), stable: stable, comparing: false).passed)
  }

  @Test("latency has a maximum, and a factor of the stable version's above a floor") func latency() {
    var gates = RolloutGates()
    gates.latency = .init(maximum: .milliseconds(100), factorPercent: 200)
    #expect(judge(gates, canary: RolloutBench.sample(200, milliseconds: 5)).passed)
    let slow = judge(gates, canary: RolloutBench.sample(200, milliseconds: 1000))
    #expect(
      slow.text.hasPrefix("p99 991 ms (at most 100 ms), p99 991 ms (at most 10 ms, for 3 ms of the stable version)"))
    gates.latency?.floor = .milliseconds(1)
    #expect(judge(gates, canary: RolloutBench.sample(200, milliseconds: 10)).failed)
    #expect(judge(gates, canary: RolloutBench.sample(200, milliseconds: 10), comparing: false).passed)
  }

  @Test("without a single answer latency is no pass") func noAnswers() {
    var gates = RolloutGates()
    gates.latency = .init(maximum: .milliseconds(100))
    var dead = VersionSample()
    dead.failures = 500
    #expect(judge(gates, canary: dead).failed)
  }

  @Test("samples come from clients' counters: by backend, repeats as failures, from the second reading on")
  func readings() {
    var plan = CompiledRollout(
      key: ResourceKey(group: "mesh.apus.dev", kind: "TrafficPolicy", namespace: "shop", name: "orders"),
      position: ManifestPosition(file: "f", line: 1, column: 1), rollout: RolloutBench().rollout)
    plan.services = ["orders"]
    func page(_ successes: Int, _ failures: Int, _ retries: Int) -> [MetricSample] {
      let labels = #"direction="outbound",dst_service="orders",dst_namespace="shop",backend="orders-v2""#
      let text = """
        response_total{\(labels),classification="success"} \(successes)
        response_total{\(labels),classification="failure"} \(failures)
        response_total{direction="inbound",dst_service="orders",dst_namespace="shop",backend="orders-v2",classification="failure"} 999
        response_total{direction="outbound",dst_service="other",dst_namespace="shop",backend="orders-v2",classification="failure"} 999
        response_total{direction="outbound",dst_service="orders",dst_namespace="shop",backend="third",classification="failure"} 999
        response_total{direction="outbound",dst_service="orders",dst_namespace="shop",backend="orders-v1",classification="success"} \(successes * 9)
        retries_total{\(labels),reason="status"} \(retries)
        retry_overflow_total{\(labels)} 999
        response_latency_ms_bucket{\(labels),le="5"} \(successes)
        response_latency_ms_bucket{\(labels),le="+Inf"} \(successes + failures)
        request_total{\(labels)} 999

        """
      return PrometheusText.parse(text.utf8, only: RolloutScrape.families)
    }
    var readings = RolloutReadings()
    #expect(readings.increase(["web": page(1000, 0, 0)], of: plan, now: 1) == nil)
    let second = readings.increase(["web": page(1100, 5, 3), "new": page(7, 7, 7)], of: plan, now: 2)
    #expect(second?.canary.successes == 100 && second?.canary.failures == 8)
    #expect(second?.stable.requests == 900)
    #expect(second?.canary.latency.buckets == [5: 100, .infinity: 105])
    // A proxy that did not answer is counted from where it was; one that started again from zero.
    _ = readings.increase(["new": page(7, 7, 7)], of: plan, now: 3)
    #expect(readings.increase(["web": page(1110, 5, 3)], of: plan, now: 4)?.canary.requests == 10)
    #expect(readings.increase(["web": page(4, 0, 0)], of: plan, now: 5)?.canary.requests == 4)
  }
}
