import MeshAPI
import SwiftProtobuf
import Testing

@testable import MeshCLI

@Suite struct RolloutReportTests {
  private static func response(_ change: (inout Apus_V1_RolloutStatus) -> Void = { _ in }) -> Apus_V1_RolloutsResponse {
    var status = Apus_V1_RolloutStatus.with {
      $0.namespace = "shop"
      $0.name = "orders"
      $0.phase = "Progressing"
      $0.reason = "StepBegan"
      $0.message = "step 2 of 2: 50 % to orders-v2"
      $0.changedMs = 1_763_900_000_000
      $0.stepStartedMs = 1_763_900_010_000
      $0.step = 1
      $0.steps = [.with { ($0.weight, $0.pauseMs) = (5, 0) }, .with { ($0.weight, $0.pauseMs) = (50, 60_000) }]
      $0.percentile = 95
      $0.minimumRequests = 100
      $0.stable = .with {
        $0.service = "orders-v1"
        $0.weight = 50
        $0.endpoints = 2
        $0.judged = .with { ($0.requests, $0.successRate, $0.latencyMs) = (130, 1, 4) }
      }
      $0.canary = .with {
        $0.service = "orders-v2"
        $0.weight = 50
        $0.endpoints = 1
        $0.judged = .with { ($0.requests, $0.successRate, $0.latencyMs) = (120, 0.95, 17) }
      }
      $0.gates = [
        .with { ($0.name, $0.value, $0.limit, $0.passed) = ("success rate", "95 %", "at least 99 %", false) },
        .with { ($0.name, $0.value, $0.limit, $0.passed) = ("p95", "17 ms", "at most 300 ms", true) },
      ]
      $0.missing = "3 of 100 requests to the canary"
      $0.events = [.with { ($0.atMs, $0.reason, $0.message) = (1_763_900_000_000, "Started", "from orders-v1") }]
    }
    change(&status)
    return .with {
      $0.rollouts = [status]
      $0.nowMs = 1_763_900_051_000
    }
  }

  private static func item(_ change: (inout Apus_V1_RolloutStatus) -> Void = { _ in }) -> RolloutReport.Item {
    RolloutReport(response(change)).items[0]
  }

  @Test("one rollout as people see it") func golden() {
    #expect(
      Self.item().render() == """
        shop/orders  ✔ Progressing, step 2 of 2, 41s of 1m00s

          [####################--------------------]  50 % to orders-v2
          step 2 of 2: 50 % to orders-v2

          VERSION  SERVICE    WEIGHT  ENDPOINTS  REQUESTS  SUCCESS    P95
          stable   orders-v1    50 %          2       130  100.00%  4.0ms
          canary   orders-v2    50 %          1       120   95.00%   17ms

          ✘ success rate 95 %, at least 99 %
          ✔ p95 17 ms, at most 300 ms
          - a judgement waits: 3 of 100 requests to the canary

          2025-11-23T12:13:20Z  Started: from orders-v1

        """)
  }

  @Test("all rollouts, in a line each; none says where to read") func list() {
    let text = RolloutReport(Self.response()).render()
    #expect(text.contains("orders  shop       Progressing  2/2     50 %  orders-v2  orders-v1    51s  StepBegan"))
    #expect(RolloutReport(.init()).render().contains("docs/guide/rollouts.md"))
  }

  @Test("a rollout is found by its name, with its namespace or without") func find() throws {
    let report = RolloutReport(Self.response())
    #expect(try report.find("orders", namespace: nil).name == "orders")
    #expect(try report.find("shop/orders", namespace: "shop").name == "orders")
    #expect(throws: CLIFailure.self) { try report.find("orders", namespace: "other") }
    var two = Self.response()
    two.rollouts.append(two.rollouts[0])
    two.rollouts[1].namespace = "other"
    #expect(throws: CLIFailure.self) { try RolloutReport(two).find("orders", namespace: nil) }
    #expect(try RolloutReport(two).find("orders", namespace: "other").namespace == "other")
  }

  @Test(
    "what wait ends with",
    arguments: [
      ("Promoted", "Promoted", Int32(0)), ("RolledBack", "RolledBack", 1), ("Paused", "TooFewRequests", 1),
      ("Paused", "GateFailed", 1), ("Paused", "StableUnavailable", 1), ("Paused", "StepPause", nil),
      ("Paused", "PausedByHand", nil), ("Waiting", "NoEndpoint", nil), ("Progressing", "StepBegan", nil),
    ])
  func exitCodes(phase: String, reason: String, code: Int32?) {
    #expect(Self.item { ($0.phase, $0.reason) = (phase, reason) }.exitCode == code)
  }

  @Test("each reason is told once, also when the oldest are forgotten") func events() {
    let item = Self.item {
      $0.events = (1...4).map { number in
        .with { ($0.atMs, $0.reason) = (Int64(number), "R\(number)") }
      }
    }
    #expect(item.events(after: nil).count == 4)
    #expect(item.events(after: item.events[1]).map(\.reason) == ["R3", "R4"])
    #expect(item.events(after: .init(atMs: 2, reason: "gone", message: "")).map(\.reason) == ["R3", "R4"])
  }

  @Test("lengths of time to wait") func waitTimes() {
    #expect(["30", "30s", "2m", "24h"].map(WaitTime.parse) == [30, 30, 120, 86_400])
    #expect(["", "0s", "25h", "1d", "-1s", "1.5m"].map(WaitTime.parse) == Array(repeating: nil, count: 6))
  }
}
