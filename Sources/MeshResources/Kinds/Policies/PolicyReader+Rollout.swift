import MeshCore

extension PolicyReader {
  /// The block counts as a whole: the steps of one policy with the gates of another would be nobody's.
  static func rollout(_ block: Fields) -> [PolicySetting] {
    let stable = version(block, "stable")
    let canary = version(block, "canary")
    let steps = block.required("steps", fix: "write such as - {weight: 5, pause: 1m}").map { rolloutSteps($0) } ?? []
    let gates = block.optional("gates").flatMap { rolloutGates($0) }
    let onFailure = block.optional("onFailure").flatMap { field in
      field.word(Rollout.OnFailure.allCases.map(\.rawValue)).flatMap(Rollout.OnFailure.init)
    }
    if let stable, let canary, stable.service == canary.service {
      block.error("canary", "is the same Service as stable", fix: "give each version a Service of its own")
    }
    if gates == nil, onFailure != nil {
      block.error("onFailure", "has no gates that could fail beside it", fix: "write gates, or remove it")
    }
    // What is compared with the stable version needs requests there.
    if let gates, gates.compares, steps.contains(where: { $0.weight == 100 }) {
      block.warning(
        "gates", "nothing is compared with the stable version in a step with weight 100, where it gets no requests",
        fix: "write successRate.minimumPercent or latency.maximum, which count there, too")
    }
    guard let stable, let canary, !steps.isEmpty, !block.context.hasErrors else { return [] }
    let versions = Rollout.Versions(
      stable: stable.service, canary: canary.service, revision: canary.revision)
    return [.rollout(Rollout(versions: versions, steps: steps, gates: gates, onFailure: onFailure ?? .rollback))]
  }

  private static func version(_ block: Fields, _ name: String) -> (service: String, revision: String?)? {
    let fix = "write such as {service: orders-v1}"
    guard let fields = block.required(name, fix: fix)?.fields() else { return nil }
    let service = fields.required("service", fix: "name the Service of the version")?.label()
    // Of the canary alone: what the stable version runs is nobody's question.
    let revision = name == "canary" ? fields.optional("revision")?.nonEmptyString() : nil
    if let revision, revision.utf8.count > PolicyLimits.nameBytes {
      fields.error("revision", "is longer than \(PolicyLimits.nameBytes) bytes")
    }
    fields.finish()
    return service.map { ($0, revision) }
  }

  // MARK: - Steps

  private static func rolloutSteps(_ list: Field) -> [Rollout.Step] {
    let elements = list.elements(atMost: PolicyLimits.rolloutSteps)
    if elements.isEmpty, !list.context.hasErrors { list.error("must not be empty", fix: "write one step or more") }
    var last: UInt32?
    return elements.compactMap { element in
      guard let fields = element.fields() else { return nil }
      let weight = fields.required("weight", fix: "write the percentage of requests that go to the canary")?
        .integer(in: 0...100).map { UInt32($0) }
      let pause = fields.required("pause", fix: "write how long the step lasts, or manual").flatMap { rolloutPause($0) }
      if let weight, let last, weight <= last {
        fields.error("weight", "is not above that of the step before, \(last)", fix: "let the weights rise")
      }
      last = weight ?? last
      fields.finish()
      guard let weight, let pause else { return nil }
      return Rollout.Step(weight: weight, pause: pause)
    }
  }

  /// Some nil: until somebody resumes. Nil: a mistake.
  private static func rolloutPause(_ field: Field) -> TimeSpan?? {
    if case .string(Rollout.Step.manual) = field.node.value { return .some(nil) }
    guard let span = field.duration() else { return nil }
    if span < PolicyLimits.shortestRolloutTime {
      field.error("is shorter than 1s", fix: "write 1s or more, or \(Rollout.Step.manual) to be asked")
    }
    return span
  }

  // MARK: - Gates

  private static func rolloutGates(_ field: Field) -> RolloutGates? {
    guard let fields = field.fields() else { return nil }
    var gates = RolloutGates()
    if let interval = fields.time("interval") {
      if interval < PolicyLimits.shortestRolloutTime {
        fields.error("interval", "is shorter than 1s: every proxy is asked each time", fix: "write 1s or more")
      }
      gates.interval = interval
    }
    gates.minimumRequests = fields.count("minimumRequests", 1...PolicyLimits.count) ?? gates.minimumRequests
    gates.toleratedFailures = fields.count("toleratedFailures", 0...PolicyLimits.checks.upperBound) ?? 0
    gates.maximumWait = fields.time("maximumWait") ?? gates.maximumWait
    gates.successRate = fields.optional("successRate").flatMap { successRateGate($0) }
    gates.latency = fields.optional("latency").flatMap { latencyGate($0) }
    fields.finish()
    if gates.successRate == nil, gates.latency == nil, !field.context.hasErrors {
      field.error("must have at least one gate", fix: "write successRate, latency or both")
    }
    return gates
  }

  private static func successRateGate(_ field: Field) -> RolloutGates.SuccessRate? {
    guard let fields = field.fields() else { return nil }
    let gate = RolloutGates.SuccessRate(
      minimum: percent(fields, "minimumPercent"), maximumDrop: percent(fields, "maximumDropPercent"))
    fields.finish()
    if gate == RolloutGates.SuccessRate(), !field.context.hasErrors {
      field.error("asks for nothing", fix: "write minimumPercent, maximumDropPercent or both")
    }
    return gate
  }

  private static func latencyGate(_ field: Field) -> RolloutGates.Latency? {
    guard let fields = field.fields() else { return nil }
    var gate = RolloutGates.Latency(
      maximum: fields.time("maximum"), factorPercent: fields.count("factorPercent", PolicyLimits.factorPercent))
    gate.percentile = fields.count("percentile", 1...99) ?? gate.percentile
    let floor = fields.time("floor")
    gate.floor = floor ?? gate.floor
    if gate.maximum == .zero { fields.error("maximum", "must not be 0s", fix: "write such as 300ms") }
    if floor != nil, gate.factorPercent == nil {
      fields.error("floor", "is for factorPercent, which is not there", fix: "remove it, or write factorPercent")
    }
    fields.finish()
    if gate.maximum == nil, gate.factorPercent == nil, !field.context.hasErrors {
      field.error("asks for nothing", fix: "write maximum, factorPercent or both")
    }
    return gate
  }

  /// In thousandths.
  private static func percent(_ fields: Fields, _ name: String) -> UInt32? {
    fields.optional(name)?.decimal(in: 0...100).map { UInt32(($0 * 1000).rounded()) }
  }
}
