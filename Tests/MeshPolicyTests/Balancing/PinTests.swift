import MeshCore
import MeshPolicy
import Testing

/// The endpoint of a session.
@Suite("Pinned endpoints")
struct PinTests {
  @Test("an endpoint that is well is used, also after a change of the others")
  func ready() throws {
    let fixture = Fixture(3)
    let ref = try #require(fixture.pick(1, at: at(0)))
    #expect(fixture.balancer.pin(ref, now: at(1)) == ref)
    fixture.update([endpoint(1), endpoint(7)], at: at(2))
    #expect(fixture.balancer.pin(ref, now: at(3)) == ref)
  }

  @Test("one that has left is not, nor is who came to its place")
  func gone() throws {
    let fixture = Fixture(2)
    let ref = try #require(fixture.pick(1, at: at(0)))
    fixture.update([endpoint(0)], at: at(1))
    #expect(fixture.balancer.pin(ref, now: at(2)) == nil)
    fixture.update([endpoint(0), endpoint(9)], at: at(3))
    #expect(fixture.balancer.pin(ref, now: at(4)) == nil)
  }

  @Test("an ejected one is not, until its session is its probation")
  func ejected() throws {
    let fixture = Fixture(3, outliers: OutlierPolicy())
    let ref = try #require(fixture.pick(1, at: at(0)))
    fixture.request(1, .connectFailure, at: at(0))
    #expect(fixture.balancer.pin(ref, now: at(1)) == nil)
    let back = try #require(fixture.balancer.pin(ref, now: at(60_000)))
    #expect(back.isSameEndpoint(as: ref))
    fixture.balancer.started(back)
    #expect(fixture.balancer.pin(ref, now: at(60_000)) == nil)
    fixture.balancer.finished(back, latency: .milliseconds(1), outcome: .success, now: at(60_001))
    #expect(fixture.balancer.pin(ref, now: at(60_001)) != nil)
  }

  @Test("an unhealthy one is not")
  func unhealthy() throws {
    let fixture = Fixture(
      endpoints(3), BackendPolicy(healthCheck: HealthCheckPolicy(probe: .tcp)))
    let ref = try #require(fixture.pick(1, at: at(0)))
    fixture.balancer.setHealth(of: endpoint(1).address, to: .unhealthy(.connectFailure), now: at(1))
    #expect(fixture.balancer.pin(ref, now: at(2)) == nil)
    fixture.balancer.setHealth(of: endpoint(1).address, to: .healthy, now: at(3))
    #expect(fixture.balancer.pin(ref, now: at(4)) == ref)
  }
}
