import MeshCore
import MeshResources
import Testing

@testable import MeshControl

@Suite("Rollouts: what people tell them") struct RolloutOrderTests {
  private func refusal(_ order: RolloutOrder, _ bench: RolloutBench) -> String {
    var bench = bench
    do throws(RolloutRefusal) {
      try bench.obey(order)
      return ""
    } catch {
      return error.description
    }
  }

  @Test("a pause keeps the weights; resumed, it goes on with its time") func pause() throws {
    var bench = RolloutBench()
    #expect(refusal(.pause, bench) == "it has not begun: nothing goes to the canary yet")
    bench.advance()
    #expect(refusal(.resume, bench) == "it is not paused, but Progressing")
    try bench.obey(.pause)
    #expect(refusal(.pause, bench) == "it is paused already")
    bench.advance(seconds: 1000)
    #expect(bench.place == "Paused(PausedByHand) 5")
    try bench.obey(.resume)
    bench.advance()
    #expect(bench.place == "Progressing 50")
  }

  @Test("a manual step lasts until somebody resumes, and its gates still count") func manualStep() throws {
    var bench = RolloutBench(
      steps: [.init(weight: 5, pause: nil), .init(weight: 50, pause: .seconds(1))], gates: RolloutBench.gates)
    bench.advance()
    try bench.obey(.resume)
    bench.advance(seconds: 1)
    #expect(bench.place == "Progressing 5")
    bench.advance(seconds: 10, RolloutBench.samples(200))
    #expect(bench.place == "Progressing 50")
  }

  @Test("promote skips what is left, unless nobody would answer") func promote() throws {
    var bench = RolloutBench(gates: RolloutBench.gates)
    bench.canaryEndpoints = 0
    #expect(refusal(.promote, bench) == "orders-v2 has no ready endpoint")
    bench.obstacle = "there is no Service shop/orders-v2"
    #expect(refusal(.promote, bench) == "there is no Service shop/orders-v2")
    (bench.canaryEndpoints, bench.obstacle) = (1, "")
    try bench.obey(.promote)
    #expect(bench.place == "Promoted 100")
    #expect(refusal(.promote, bench) == "it is promoted already; restart it first")
    #expect(refusal(.pause, bench) == "it is promoted already; nothing is left to pause")
  }

  @Test("abort goes back at any time, unless nobody would answer; restart begins again") func abort() throws {
    var bench = RolloutBench()
    bench.advance()
    bench.stableEndpoints = 0
    #expect(refusal(.abort, bench) == "orders-v1 has no ready endpoint")
    bench.stableEndpoints = 1
    try bench.obey(.promote)
    try bench.obey(.abort)
    #expect(bench.place == "RolledBack 0")
    #expect(refusal(.abort, bench) == "it is rolled back already")
    #expect(refusal(.promote, bench) == "it is rolled back already; restart it first")
    try bench.obey(.restart)
    #expect(bench.place == "Waiting 0")
    bench.advance()
    #expect(bench.place == "Progressing 5")
    #expect(bench.reasons.suffix(4) == ["Promoted", "RolledBack", "Restarted", "StepBegan"])
  }
}
