import MeshPolicy
import MeshResources

/// Every MeshTLS by the workloads that it is for, and which mode holds where. Pure.
///
/// The narrowest scope that says something of a port counts: the workload's labels, its namespace, the mesh. Within one scope an entry
/// for the port goes before the mode for all, and of two that say the same thing the older counts.
struct MeshTLSTable {
  struct Entry {
    var located: Located<Resource>
    var policy: MeshTLS
    var scope: Scope
    /// Workloads that it is for, and ports of them.
    fileprivate(set) var workloads = 0
    fileprivate(set) var ports: Set<UInt16> = []
    /// Whose word goes before its own, for some of them.
    fileprivate(set) var winners: Set<ResourceKey> = []
  }

  /// Narrow scopes first.
  enum Scope: Int, CaseIterable { case workload, namespace, mesh }

  /// A mode, and who says it.
  struct Word: Equatable {
    var mode = MeshTLSMode.standard
    /// Nil: nobody, it is the default.
    var source: ResourceKey?
    var position: ManifestPosition?
    var scope: Scope?
  }

  /// The older first.
  private(set) var entries: [Entry]
  /// By namespace; those of the whole mesh are under the empty name.
  private var byNamespace: [String: [Int]] = [:]

  init(_ snapshot: Snapshot, _ workloads: [EffectiveWorkload]) {
    entries = snapshot.manifests.values.compactMap { located in
      guard case .meshTLS(let policy) = located.value else { return nil }
      return Entry(located: located, policy: policy, scope: Self.scope(policy))
    }.sorted { RouteAge.of($0.policy.metadata) < RouteAge.of($1.policy.metadata) }
    for (index, entry) in entries.enumerated() {
      byNamespace[entry.scope == .mesh ? "" : entry.policy.metadata.namespace, default: []].append(index)
    }
    if entries.isEmpty { return }
    for workload in workloads { note(workload) }
  }

  private static func scope(_ policy: MeshTLS) -> Scope {
    if !policy.selector.isEmpty { return .workload }
    return policy.metadata.namespace == PolicyTarget.rootNamespace ? .mesh : .namespace
  }

  private func concerning(_ workload: EffectiveWorkload) -> [Int] {
    ((byNamespace[workload.namespace] ?? []) + (byNamespace[""] ?? [])).filter { index in
      entries[index].scope != .workload || workload.isSelected(by: entries[index].policy.selector)
    }
  }

  // MARK: - What holds

  func word(for workload: EffectiveWorkload, port: UInt16) -> Word {
    if entries.isEmpty { return Word() }
    let indices = concerning(workload)
    for scope in Scope.allCases {
      let here = indices.filter { entries[$0].scope == scope }.sorted()
      for index in here {
        if let found = entries[index].policy.ports.first(where: { $0.port == port }) { return word(index, found.mode) }
      }
      for index in here {
        if let mode = entries[index].policy.mode { return word(index, mode) }
      }
    }
    return Word()
  }

  private func word(_ index: Int, _ mode: MeshTLSMode) -> Word {
    let entry = entries[index]
    return Word(mode: mode, source: entry.located.value.key, position: entry.located.position, scope: entry.scope)
  }

  // MARK: - What is wrong

  private mutating func note(_ workload: EffectiveWorkload) {
    let indices = concerning(workload).sorted()
    for index in indices {
      entries[index].workloads += 1
      for port in entries[index].policy.ports where workload.ports.contains(where: { $0.port == port.port }) {
        entries[index].ports.insert(port.port)
      }
      // Mesh and namespace have their conflicts whether or not there is a workload; labels only where they meet.
      let rivals = indices.filter { $0 < index && entries[$0].scope == entries[index].scope }
      for rival in rivals where Self.contradict(entries[rival].policy, entries[index].policy) {
        entries[index].winners.insert(entries[rival].located.value.key)
      }
    }
  }

  /// Both say something of the same thing, and not the same.
  private static func contradict(_ older: MeshTLS, _ newer: MeshTLS) -> Bool {
    if let mode = newer.mode, let other = older.mode, mode != other { return true }
    return newer.ports.contains { port in older.ports.contains { $0.port == port.port && $0.mode != port.mode } }
  }

  private func findings(_ entry: Entry) -> [PolicyFinding] {
    var findings: [PolicyFinding] = []
    if entry.scope == .workload, entry.workloads == 0 {
      let labels = entry.policy.selector.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      findings.append(
        PolicyFinding(
          field: "spec.selector",
          message: "no workload of \(entry.policy.metadata.namespace) has \(labels.joined(separator: ", "))",
          fix: "see the labels of each: apus status -o json", code: .meshTLSWithoutWorkload))
    } else {
      for (index, port) in entry.policy.ports.enumerated() where !entry.ports.contains(port.port) {
        findings.append(
          PolicyFinding(
            field: "spec.ports[\(index)].port", message: "none of its workloads serves port \(port.port)",
            fix: "write the port where the program listens", code: .meshTLSWithoutWorkload))
      }
    }
    for winner in entry.winners.sorted() {
      findings.append(
        PolicyFinding(
          field: "spec", message: "the \(winner) is older and says otherwise of the same workloads",
          fix: "keep one of the two",
          code: .meshTLSConflict))
    }
    if entry.policy.mode == .disabled || entry.policy.ports.contains(where: { $0.mode == .disabled }) {
      findings.append(
        PolicyFinding(
          field: "spec.mode",
          message: "proxies call these programs past their proxies, in plaintext and without a proof of who calls",
          fix: "write mode: permissive, unless the program cannot have it otherwise", code: .meshTLSDisabled))
    }
    return findings
  }

  var warnings: [ManifestProblem] {
    entries.flatMap { entry in
      findings(entry).map { entry.located.warning($0.field, $0.message, fix: $0.fix, code: $0.code) }
    }
  }
}

// MARK: - Status

extension MeshTLSTable {
  /// Of every MeshTLS: those in force, and those that were refused and have no earlier version.
  func statuses(_ snapshot: Snapshot) -> [PolicyStatus] {
    let errors = Dictionary(
      grouping: snapshot.problems.filter { $0.severity == .error && $0.key != nil }, by: \.key)
    var statuses = entries.map { entry in
      let stale = (errors[entry.located.value.key] ?? []).filter(\.stale)
      return PolicyStatus(
        entry.located, [Self.target(entry.policy)],
        conditions: [conditions(entry) + PolicyStatus.fallBacks(stale)])
    }
    for located in snapshot.rejected.values {
      guard case .meshTLS(let policy) = located.value else { continue }
      statuses.append(PolicyStatus(rejected: located, [Self.target(policy)], errors[located.value.key] ?? []))
    }
    return statuses
  }

  private static func target(_ policy: MeshTLS) -> PolicyTarget {
    scope(policy) == .mesh
      ? PolicyTarget(kind: .mesh, name: PolicyTarget.meshName)
      : PolicyTarget(kind: .namespace, name: policy.metadata.namespace)
  }

  private func conditions(_ entry: Entry) -> [RouteCondition] {
    let missing = findings(entry).filter { $0.code == .meshTLSWithoutWorkload }
    let resolved =
      missing.isEmpty
      ? RouteCondition(
        kind: .resolvedRefs, isTrue: true, reason: "ResolvedRefs",
        message: "workloads it is for: \(entry.workloads)")
      : RouteCondition(
        kind: .resolvedRefs, isTrue: false, reason: "NoWorkload", message: ConditionText.list(missing.map(\.text)))
    let accepted = RouteCondition(kind: .accepted, isTrue: true, reason: "Accepted", message: Self.text(entry.policy))
    guard !entry.winners.isEmpty else { return [accepted, resolved] }
    let winners = entry.winners.sorted().map { "the \($0) goes before" }
    return [
      accepted, resolved,
      RouteCondition(kind: .conflicted, isTrue: true, reason: "Conflicted", message: ConditionText.list(winners)),
    ]
  }

  /// `strict; port 9090: permissive`.
  static func text(_ policy: MeshTLS) -> String {
    let mode = policy.mode.map { [$0.rawValue] } ?? []
    return (mode + policy.ports.map { "port \($0.port): \($0.mode.rawValue)" }).joined(separator: "; ")
  }
}
