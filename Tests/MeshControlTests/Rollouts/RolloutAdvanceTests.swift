import MeshCore
import MeshResources
import Testing

@testable import MeshControl

@Suite("Rollouts: what time and samples make of them") struct RolloutAdvanceTests {
  // MARK: - Time

  @Test("without gates time alone moves it through its steps to the end") func timeAlone() {
    var bench = RolloutBench()
    #expect(bench.place == "Waiting 0")
    bench.advance()
    #expect(bench.place == "Progressing 5")
    bench.advance(seconds: 29.9)
    #expect(bench.place == "Progressing 5")
    bench.advance(seconds: 0.1)
    #expect(bench.place == "Progressing 50")
    bench.advance(seconds: 59.9)
    #expect(bench.place == "Progressing 50")
    bench.advance(seconds: 0.1)
    #expect(bench.place == "Promoted 100")
    #expect(bench.reasons == ["Started", "StepBegan", "StepBegan", "Promoted"])
    bench.canaryEndpoints = 0
    bench.advance(seconds: 1000)
    #expect(bench.place == "Promoted 100")
  }

  @Test("nothing goes to a canary that has no endpoint, or that something stands in the way of") func waiting() {
    var bench = RolloutBench()
    bench.canaryEndpoints = 0
    bench.advance(seconds: 1000)
    #expect(bench.place == "Waiting 0")
    (bench.canaryEndpoints, bench.obstacle) = (1, "there is no Service shop/orders-v2")
    bench.advance(seconds: 1000)
    #expect(bench.place == "Waiting 0")
    bench.obstacle = ""
    bench.advance()
    #expect(bench.place == "Progressing 5")
  }

  @Test("a step with weight 0 begins without a canary, and its end waits for one") func zeroStep() throws {
    var bench = RolloutBench(steps: [.init(weight: 0, pause: nil), .init(weight: 100, pause: .seconds(5))])
    bench.canaryEndpoints = 0
    bench.advance()
    #expect(bench.place == "Paused(StepPause) 0")
    try bench.obey(.resume)
    bench.advance(seconds: 60)
    #expect(bench.place == "Progressing 0")
    bench.canaryEndpoints = 1
    bench.advance()
    #expect(bench.place == "Progressing 100")
    bench.advance(seconds: 5)
    #expect(bench.place == "Promoted 100")
  }

  @Test("a canary that loses its last endpoint is rolled back") func canaryDies() {
    var bench = RolloutBench()
    bench.advance()
    bench.canaryEndpoints = 0
    bench.advance(seconds: 1)
    #expect(bench.place == "RolledBack 0")
    #expect(bench.lastMessage.hasSuffix("orders-v2 has no ready endpoint"))
  }

  // MARK: - Gates

  @Test("a step goes on when its pause is over and the last judgement passed, whichever comes last") func gates() {
    var bench = RolloutBench(gates: RolloutBench.gates)
    bench.advance()
    bench.advance(seconds: 10, RolloutBench.samples(200))
    #expect(bench.state.hasPassed && bench.place == "Progressing 5")
    bench.advance(seconds: 20)
    #expect(bench.place == "Progressing 50")
    bench.advance(seconds: 60)
    #expect(bench.place == "Progressing 50")
    bench.advance(seconds: 1, RolloutBench.samples(200))
    #expect(bench.place == "Promoted 100")
    #expect(bench.reasons == ["Started", "StepBegan", "StepPassed", "StepBegan", "StepPassed", "Promoted"])
  }

  @Test("a failed gate rolls back at once, with its reason") func rollback() {
    var bench = RolloutBench(gates: RolloutBench.gates)
    bench.advance()
    bench.advance(seconds: 10, RolloutBench.samples(180, 20))
    #expect(bench.place == "RolledBack 0")
    #expect(bench.lastMessage.contains("every request goes to orders-v1 again: success rate 90 % (at least 99.5 %)"))
    bench.advance(seconds: 1000, RolloutBench.samples(200))
    #expect(bench.place == "RolledBack 0")
  }

  @Test("too few requests neither promote nor roll back; they add up, and the wait has an end") func tooFew() throws {
    var bench = RolloutBench(gates: RolloutBench.gates)
    bench.advance()
    for _ in 0..<9 { bench.advance(seconds: 10, RolloutBench.samples(0, 11)) }
    #expect(bench.place == "Progressing 5")
    #expect(bench.state.lastJudgement?.missing == "99 of 100 requests to the canary")
    // 30 s of pause, 600 s of wait.
    bench.advance(seconds: 539.9)
    #expect(bench.place == "Progressing 5")
    bench.advance(seconds: 0.1)
    #expect(bench.place == "Paused(TooFewRequests) 5")
    try bench.obey(.resume)
    bench.advance(seconds: 1, RolloutBench.samples(200))
    #expect(bench.place == "Progressing 5")
    bench.advance(seconds: 9, RolloutBench.samples(1))
    #expect(bench.place == "Progressing 50")
  }

  @Test("what is compared with the stable version needs requests there, too, but in a step with all of them")
  func stableSamples() {
    var bench = RolloutBench(
      steps: [.init(weight: 50, pause: .seconds(1)), .init(weight: 100, pause: .seconds(1))], gates: RolloutBench.gates)
    bench.advance()
    var lonely = RolloutSamples()
    lonely.canary = RolloutBench.sample(200)
    bench.advance(seconds: 10, lonely)
    #expect(bench.place == "Progressing 50")
    #expect(bench.state.lastJudgement?.missing == "0 of 100 requests to the stable version")
    bench.advance(seconds: 1, RolloutBench.samples(200))
    #expect(bench.place == "Progressing 100")
    bench.advance(seconds: 10, lonely)
    #expect(bench.place == "Promoted 100")
  }

  @Test("as many judgements as are tolerated may fail in a step") func tolerated() {
    var gates = RolloutBench.gates
    gates.toleratedFailures = 1
    var bench = RolloutBench(gates: gates)
    bench.advance()
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.place == "Progressing 5" && bench.reasons.last == "GateFailed")
    bench.advance(seconds: 25, RolloutBench.samples(200))
    #expect(bench.place == "Progressing 50")
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.place == "Progressing 50")
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.place == "RolledBack 0")
  }

  @Test("with onFailure: pause a failed gate keeps the weights until somebody decides") func pauseOnFailure() throws {
    var bench = RolloutBench(gates: RolloutBench.gates, onFailure: .pause)
    bench.advance()
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.place == "Paused(GateFailed) 5")
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.reasons.filter { $0 == "GateFailed" }.count == 1)
    try bench.obey(.resume)
    bench.advance(seconds: 10, RolloutBench.samples(200))
    #expect(bench.place == "Progressing 50")
  }

  @Test("it does not roll back to nothing, but does when the stable version is there again") func stableAway() {
    var bench = RolloutBench(gates: RolloutBench.gates)
    bench.advance()
    bench.stableEndpoints = 0
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.place == "Paused(StableUnavailable) 5")
    bench.advance(seconds: 1)
    #expect(bench.place == "Paused(StableUnavailable) 5")
    bench.stableEndpoints = 1
    bench.advance(seconds: 1)
    #expect(bench.place == "RolledBack 0")
    #expect(bench.lastMessage.contains("success rate 50 %"))
  }

  @Test("gates are judged in pauses, too") func judgedWhilePaused() {
    var bench = RolloutBench(
      steps: [.init(weight: 5, pause: nil), .init(weight: 50, pause: .seconds(1))], gates: RolloutBench.gates)
    bench.advance()
    #expect(bench.place == "Paused(StepPause) 5")
    bench.advance(seconds: 10, RolloutBench.samples(200))
    #expect(bench.place == "Paused(StepPause) 5")
    bench.advance(seconds: 10, RolloutBench.samples(100, 100))
    #expect(bench.place == "RolledBack 0")
  }

  // MARK: - Changes

  @Test("other versions begin again; other steps do so only while it is under way; other gates never") func changes() {
    var bench = RolloutBench()
    bench.advance()
    bench.rollout.gates = RolloutBench.gates
    bench.advance(seconds: 1)
    #expect(bench.place == "Progressing 5")
    bench.rollout.steps[0].weight = 6
    bench.advance()
    #expect(bench.place == "Progressing 6")
    bench.rollout.versions.revision = "2.1"
    bench.advance(seconds: 1)
    #expect(bench.reasons.suffix(3) == ["StepBegan", "Restarted", "StepBegan"])
    bench.rollout.gates = nil
    bench.advance(seconds: 30)
    bench.advance(seconds: 60)
    #expect(bench.place == "Promoted 100")
    bench.rollout.steps = [.init(weight: 1, pause: nil)]
    bench.advance()
    #expect(bench.place == "Promoted 100")
    bench.rollout.versions = .init(stable: "orders-v2", canary: "orders-v3")
    bench.canaryEndpoints = 0
    bench.advance()
    #expect(bench.place == "Waiting 0")
  }

  @Test("a controller that starts finds it mid-step: the pause has gone on, and the wait for samples begins anew")
  func takenUp() {
    var bench = RolloutBench(gates: RolloutBench.gates)
    bench.advance()
    bench.advance(seconds: 10, RolloutBench.samples(50))
    bench.now += 3_600_000
    bench.state.takeUp(now: bench.now)
    bench.advance()
    #expect(bench.place == "Progressing 5")
    bench.advance(seconds: 1, RolloutBench.samples(50))
    #expect(bench.place == "Progressing 50")
    // A clock that was set back costs nothing.
    bench.now -= 7_200_000
    bench.state.takeUp(now: bench.now)
    bench.advance(seconds: 60, RolloutBench.samples(200))
    #expect(bench.place == "Promoted 100")
  }

  @Test("only the newest reasons are kept") func events() throws {
    var bench = RolloutBench()
    for _ in 0..<100 { try bench.obey(.restart) }
    #expect(bench.state.events.count == RolloutState.maximumEvents)
  }
}
