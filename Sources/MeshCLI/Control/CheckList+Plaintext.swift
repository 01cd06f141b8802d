internal import MeshAPI

// Who calls without a certificate of the mesh, and whether strict mutual TLS would refuse anybody.
extension CheckList {
  static let shownCallers = 8

  /// One line for each caller of a workload, or one that says that there is none.
  static func plaintext(
    _ report: PlaintextReport, _ section: String, _ workloads: [Apus_V1_WorkloadStatus], now: Int64
  ) -> [CheckItem] {
    let age = Format.duration(seconds: max(0, now - report.startedMs / 1000))
    guard !report.callers.isEmpty else {
      let isStrict = !report.ports.isEmpty && report.ports.allSatisfy { $0.mode == "strict" }
      let detail =
        isStrict ? "MeshTLS is strict" : "strict would have refused nobody since its proxy started, \(age) ago"
      return [CheckItem(section, "no plaintext caller", .ok, detail)]
    }
    let recent = report.callers.sorted { $0.lastMs > $1.lastMs }
    var items = recent.prefix(shownCallers).map { caller in
      let mode = report.ports.first { $0.port == caller.port }?.mode ?? "permissive"
      return CheckItem(
        section, "plaintext caller \(caller.address)\(Self.names(caller, workloads))", .warning,
        Self.text(caller, mode, now: now), hint: Self.hint(mode))
    }
    let hidden = Int64(max(0, recent.count - shownCallers)) + report.forgotten
    if hidden > 0 {
      items.append(
        CheckItem(
          section, "more plaintext callers", .warning, "\(hidden)",
          hint: "http://ADDRESS:15000/plaintext_callers lists them"))
    }
    return items
  }

  /// Of the whole mesh, last.
  static func strictness(_ reports: [String: PlaintextReport], now: Int64) -> [CheckItem] {
    let open = reports.filter { _, report in report.ports.contains { $0.mode != "strict" } }
    if open.isEmpty { return [] }
    let called = open.filter { !$0.value.callers.isEmpty }.keys.sorted()
    let youngest = open.values.map(\.startedMs).max() ?? 0
    let age = Format.duration(seconds: max(0, now - youngest / 1000))
    if called.isEmpty {
      return [
        CheckItem(
          "mesh TLS", "strict is safe", .ok,
          "no workload has had a plaintext caller; the youngest proxy has watched for \(age)")
      ]
    }
    return [
      CheckItem(
        "mesh TLS", "strict is safe", .warning, "not yet: plaintext comes to \(called.joined(separator: ", "))",
        hint: "start those callers with apus run, or keep their ports permissive")
    ]
  }

  private static func text(_ caller: PlaintextReport.Caller, _ mode: String, now: Int64) -> String {
    let count = caller.allowed + caller.refused
    var text =
      "\(count) \(count == 1 ? "request" : "requests") to port \(caller.port) since \(Format.utc(seconds: caller.firstMs / 1000))"
    text += ", the last \(Format.duration(seconds: max(0, now - caller.lastMs / 1000))) ago"
    if caller.refused > 0 { text += ", \(caller.refused) refused" }
    return text + " (\(mode))"
  }

  private static func hint(_ mode: String) -> String {
    mode == "strict"
      ? "strict refuses it: start it with apus run, or make the port permissive"
      : "strict would refuse it: start it with apus run first"
  }

  /// ` (curl, process 4711 of web-x7k2p)`.
  private static func names(_ caller: PlaintextReport.Caller, _ workloads: [Apus_V1_WorkloadStatus]) -> String {
    if caller.processes.isEmpty {
      let workload = workloads.first { $0.address == caller.address }
      return workload.map { " (\($0.name))" } ?? ""
    }
    let names = caller.processes.map { process in
      if process.pid == 0 { return "a process of user \(process.user)" }
      let family = process.ancestors.split(separator: " ").compactMap { Int64($0) } + [process.pid]
      let owner = workloads.first { $0.processID > 0 && family.contains($0.processID) }
      return "\(process.name), process \(process.pid)" + (owner.map { " of \($0.name)" } ?? "")
    }
    return " (\(names.joined(separator: "; ")))"
  }
}
