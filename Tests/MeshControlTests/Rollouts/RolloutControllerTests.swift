import Foundation
import Logging
import MeshCore
import MeshIdentity
import MeshResources
import Synchronization
import Testing

@testable import MeshControl

@Suite("Rollouts: their state on disk") struct RolloutControllerTests {
  private final class Machine: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "apus-rollouts-\(UUID()).json").path
    private let time = Mutex(Int64(0))
    private let isFull = Mutex(false)

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func pass(seconds: Int64) { time.withLock { $0 += seconds } }
    func fillDisk(_ full: Bool) { isFull.withLock { $0 = full } }

    func controller() throws -> RolloutController {
      let clock = ControlClock(
        wall: { Date(timeIntervalSince1970: 1_800_000_000 + Double(self.time.withLock { $0 })) },
        monotonic: { Instant(nanoseconds: UInt64(self.time.withLock { $0 }) * 1_000_000_000) })
      let calls = AtomicFile.Calls(write: { descriptor, bytes in
        if self.isFull.withLock({ $0 }) {
          errno = ENOSPC
          return -1
        }
        return write(descriptor, bytes.baseAddress, bytes.count)
      })
      return try RolloutController(
        file: RolloutFile(path: path, calls: calls), clock: RolloutClock(clock), log: Logger(label: "test"))
    }
  }

  private static func plan(_ change: (inout CompiledRollout) -> Void = { _ in }) -> CompiledRollout {
    var plan = CompiledRollout(
      key: ResourceKey(group: "mesh.apus.dev", kind: "TrafficPolicy", namespace: "shop", name: "orders"),
      position: ManifestPosition(file: "f", line: 1, column: 1), rollout: RolloutBench().rollout)
    plan.stableEndpoints = 1
    plan.canaryEndpoints = 1
    change(&plan)
    return plan
  }

  @discardableResult
  private func advance(
    _ controller: RolloutController, _ plans: [CompiledRollout] = [plan()], isWhole: Bool = true
  ) async -> Bool {
    await controller.advance(plans, samples: [:], areManifestsWhole: isWhole)
  }

  private func weight(_ controller: RolloutController) async -> UInt32? {
    await controller.shares.byPolicy["shop/orders"]?.weight
  }

  @Test("a controller that starts finds every rollout where it was, in the middle of its step") func restart()
    async throws
  {
    let machine = Machine()
    let first = try machine.controller()
    #expect(await advance(first))
    #expect(await weight(first) == 5)
    machine.pass(seconds: 20)
    #expect(await advance(first) == false)
    // Killed: nothing is written on the way out.
    let second = try machine.controller()
    #expect(await weight(second) == 5)
    machine.pass(seconds: 10)
    #expect(await advance(second))
    #expect(await weight(second) == 50)
    #expect(await second.states["shop/orders"]?.events.map(\.reason) == ["Started", "StepBegan", "StepBegan"])
  }

  @Test("samples of an unfinished judgement are kept, too") func samples() async throws {
    let machine = Machine()
    let gated = Self.plan { $0.rollout.gates = RolloutBench.gates }
    let first = try machine.controller()
    await advance(first, [gated])
    machine.pass(seconds: 11)
    _ = await first.advance([gated], samples: ["shop/orders": RolloutBench.samples(60)], areManifestsWhole: true)
    let second = try machine.controller()
    #expect(await second.states["shop/orders"]?.samples == RolloutBench.samples(60))
  }

  @Test("no canary gets more than the disk knows of, but a way back is taken") func fullDisk() async throws {
    let machine = Machine()
    let controller = try machine.controller()
    await advance(controller)
    machine.fillDisk(true)
    machine.pass(seconds: 30)
    #expect(await advance(controller) == false)
    #expect(await weight(controller) == 5)
    await #expect(throws: RolloutRefusal.self) { try await controller.obey(.promote, "shop/orders") }
    machine.fillDisk(false)
    #expect(await advance(controller))
    #expect(await weight(controller) == 50)
    machine.fillDisk(true)
    #expect(try await controller.obey(.abort, "shop/orders"))
    #expect(await weight(controller) == 0)
    machine.fillDisk(false)
    await advance(controller)
    #expect(await weight(try machine.controller()) == 0)
  }

  @Test("a policy that is gone is forgotten after a minute, unless manifests have errors") func forgotten() async throws
  {
    let machine = Machine()
    let controller = try machine.controller()
    await advance(controller)
    await advance(controller, [])
    machine.pass(seconds: 59)
    await advance(controller, [])
    await advance(controller)
    #expect(await weight(controller) == 50)
    await advance(controller, [], isWhole: false)
    machine.pass(seconds: 3600)
    await advance(controller, [], isWhole: false)
    #expect(await weight(controller) == 50)
    await advance(controller, [])
    machine.pass(seconds: 60)
    await advance(controller, [])
    #expect(await weight(controller) == nil)
  }

  @Test("a shutdown's end of workloads rolls nothing back") func frozen() async throws {
    let controller = try Machine().controller()
    await advance(controller)
    await controller.freeze()
    #expect(await advance(controller, [Self.plan { $0.canaryEndpoints = 0 }]) == false)
    #expect(await weight(controller) == 5)
  }

  @Test("a file that cannot be understood is an error: promoted rollouts must not begin again by themselves")
  func broken() throws {
    let machine = Machine()
    try "{".write(toFile: machine.path, atomically: true, encoding: .utf8)
    #expect(throws: ControlPlaneError.self) { try machine.controller() }
  }
}
