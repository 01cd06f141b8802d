// Rollouts for people.

extension RolloutReport {
  package func render() -> String {
    if items.isEmpty { return "no rollouts; docs/guide/rollouts.md tells how to write one\n" }
    var table = TextTable([
      .init("NAME"), .init("NAMESPACE"), .init("PHASE"), .init("STEP"), .init("WEIGHT", .right), .init("CANARY"),
      .init("STABLE"), .init("SINCE", .right), .init("REASON"),
    ])
    for item in items {
      table.add(
        item.name, item.namespace, item.phase, "\(item.step)/\(item.steps.count)", "\(item.canary.weight) %",
        item.canary.service, item.stable.service, item.age(of: item.changedMs), item.reason)
    }
    return table.render()
  }
}

extension RolloutReport.Item {
  private static let barWidth = 40
  private static let shownEvents = 8

  package func render(color: Bool = false) -> String {
    var text = "\(fullName)  \(mark(color: color)) \(phase)\(stepText)\n\n"
    text += "  \(bar)  \(canary.weight) % to \(canary.service)\(revision.map { " (\($0))" } ?? "")\n"
    text += message.isEmpty ? "\n" : "  \(message)\n\n"
    text += versionTable
    if !gates.isEmpty || missing != nil {
      text +=
        "\n"
        + gates.map { gate in
          "  \((gate.passed ? Mark.ok : .error).text(color: color)) \(gate.name) \(gate.value), \(gate.limit)\n"
        }.joined()
      if let missing { text += "  - a judgement waits: \(missing)\n" }
    }
    if !events.isEmpty {
      text += "\n" + events.suffix(Self.shownEvents).map { "  \($0.text)\n" }.joined()
    }
    return text
  }

  private func mark(color: Bool) -> String {
    switch phase {
    case "RolledBack": Mark.error.text(color: color)
    case "Paused", "Waiting": Mark.warning.text(color: color)
    default: Mark.ok.text(color: color)
    }
  }

  /// `, step 2 of 3, 41s of 1m00s`.
  private var stepText: String {
    guard !isFinal, phase != "Waiting", steps.indices.contains(step - 1) else { return "" }
    let pause = steps[step - 1].pauseMs.map { " of \(Format.duration(seconds: $0 / 1000))" } ?? ""
    return ", step \(step) of \(steps.count), \(age(of: stepStartedMs))\(pause)"
  }

  fileprivate func age(of time: Int64) -> String { Format.duration(seconds: max(0, (nowMs - time) / 1000)) }

  private var bar: String {
    let filled = Int(canary.weight) * Self.barWidth / 100
    return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: Self.barWidth - filled) + "]"
  }

  private var versionTable: String {
    var table = TextTable([
      .init("VERSION"), .init("SERVICE"), .init("WEIGHT", .right), .init("ENDPOINTS", .right),
      .init("REQUESTS", .right), .init("SUCCESS", .right), .init("P\(percentile)", .right),
    ])
    for (name, version) in [("stable", stable), ("canary", canary)] {
      let measure = version.measure
      table.add(
        name, version.service, "\(version.weight) %", "\(version.endpoints)", Format.fixed(measure.requests, 0),
        Format.percent(measure.successRate), Format.milliseconds(measure.latencyMs))
    }
    return table.render(indent: "  ")
  }
}
