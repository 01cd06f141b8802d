import MeshCore
import MeshResources
import Testing

@Suite("Rollouts of policies") struct PolicyRolloutTests: PolicySuite {
  private static let versions = "stable: {service: orders-v1}, canary: {service: orders-v2}"
  private static let steps = "steps: [{weight: 5, pause: 30s}]"

  private func rollout(_ block: String) throws -> Rollout? {
    guard case .rollout(let rollout)? = try settings("rollout: {\(block)}").first else { return nil }
    return rollout
  }

  @Test("a rollout has its defaults, or every value that is written") func decoding() throws {
    let plain = Rollout(
      versions: .init(stable: "orders-v1", canary: "orders-v2"), steps: [.init(weight: 5, pause: .seconds(30))])
    #expect(try rollout("\(Self.versions), \(Self.steps)") == plain)
    var gates = RolloutGates()
    gates.interval = .seconds(5)
    gates.minimumRequests = 20
    gates.toleratedFailures = 2
    gates.maximumWait = .seconds(120)
    gates.successRate = .init(minimum: 99_500, maximumDrop: 250)
    var latency = RolloutGates.Latency(maximum: .milliseconds(300), factorPercent: 150)
    latency.percentile = 95
    latency.floor = .milliseconds(5)
    gates.latency = latency
    let full = Rollout(
      versions: .init(stable: "orders-v1", canary: "orders-v2", revision: "2.1"),
      steps: [.init(weight: 0, pause: nil), .init(weight: 50, pause: .seconds(90))], gates: gates, onFailure: .pause)
    let found = try rollout(
      "stable: {service: orders-v1}, canary: {service: orders-v2, revision: \"2.1\"}, "
        + "steps: [{weight: 0, pause: manual}, {weight: 50, pause: 1m30s}], onFailure: pause, "
        + "gates: {interval: 5s, minimumRequests: 20, toleratedFailures: 2, maximumWait: 2m, "
        + "successRate: {minimumPercent: 99.5, maximumDropPercent: 0.25}, "
        + "latency: {percentile: 95, maximum: 300ms, factorPercent: 150, floor: 5ms}}")
    #expect(found == full)
    #expect(PolicySetting.rollout(full).text == "from orders-v1 to orders-v2 2.1, 0%/manual 50%/1m30s")
  }

  private static func block(_ field: String, _ message: String, _ block: String) -> PolicyMistake {
    .block("rollout\(field)", message, "rollout: \(block)")
  }

  private static func gates(_ field: String, _ message: String, _ gates: String) -> PolicyMistake {
    block(".gates\(field)", message, "{\(versions), \(steps), gates: \(gates)}")
  }

  @Test(
    "mistakes in rollouts",
    arguments: [
      block(".steps", "is required; write such as - {weight: 5, pause: 1m}", "§{\(versions)}"),
      block(".steps", "must not be empty; write one step or more", "{\(versions), steps: §[]}"),
      block(".canary", "is required; write such as {service: orders-v1}", "§{stable: {service: a}, \(steps)}"),
      block(
        ".canary", "is the same Service as stable; give each version a Service of its own",
        "{stable: {service: a}, canary: §{service: a}, \(steps)}"),
      block(
        ".steps[1].weight", "is not above that of the step before, 5; let the weights rise",
        "{\(versions), steps: [{weight: 5, pause: 1s}, {weight: §5, pause: 1s}]}"),
      block(
        ".steps[0].weight", "must be a whole number from 0 to 100, not 101",
        "{\(versions), steps: [{weight: §101, pause: 1s}]}"),
      block(
        ".steps[0].pause", "is required; write how long the step lasts, or manual",
        "{\(versions), steps: [§{weight: 5}]}"),
      block(
        ".steps[0].pause", "is shorter than 1s; write 1s or more, or manual to be asked",
        "{\(versions), steps: [{weight: 5, pause: §500ms}]}"),
      block(
        ".onFailure", "has no gates that could fail beside it; write gates, or remove it",
        "{\(versions), \(steps), onFailure: §pause}"),
      block(
        ".stable.revision", "is not a field of this object; known fields: service",
        "{stable: {service: a, §revision: b}, canary: {service: b}, \(steps)}"),
      gates("", "must have at least one gate; write successRate, latency or both", "§{interval: 10s}"),
      gates(
        ".successRate", "asks for nothing; write minimumPercent, maximumDropPercent or both", "{successRate: §{}}"),
      gates(
        ".latency", "asks for nothing; write maximum, factorPercent or both", "{latency: §{percentile: 50}}"),
      gates(
        ".interval", "is shorter than 1s: every proxy is asked each time; write 1s or more",
        "{interval: §100ms, successRate: {minimumPercent: 99}}"),
      gates(
        ".latency.floor", "is for factorPercent, which is not there; remove it, or write factorPercent",
        "{latency: {maximum: 1s, floor: §1ms}}"),
      gates(
        ".minimumRequests", "must be a whole number from 1 to 1000000, not 0",
        "{minimumRequests: §0, successRate: {minimumPercent: 99}}"),
    ])
  func mistakes(_ mistake: PolicyMistake) { check(mistake) }

  @Test("a rollout is for a service or a route, not for everything") func targets() {
    let text = """
      apiVersion: mesh.apus.dev/v1alpha1
      kind: TrafficPolicy
      metadata: {name: all, namespace: shop}
      spec:
        targetRefs: [{group: "", kind: Namespace, name: shop}]
        rollout: {\(Self.versions), \(Self.steps)}
      """
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(
      result.errors.map(\.description) == [
        "f.yaml:6:12: TrafficPolicy shop/all: spec.rollout: is for one service, and spec.targetRefs[0] is a Namespace; "
          + "write it in a policy whose target is the Service that clients ask for, or a route of it"
      ])
  }

  @Test("a comparison that a step with all requests cannot make is a warning") func lonelyStep() {
    let text = PolicyMistake.block(
      "", "", "rollout: {\(Self.versions), steps: [{weight: 100, pause: 5m}], gates: {latency: {factorPercent: 150}}}"
    ).text
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.objects.count == 1)
    #expect(result.errors.map(\.severity) == [.warning])
    #expect(result.errors.map(\.field) == ["spec.rollout.gates"])
  }
}
