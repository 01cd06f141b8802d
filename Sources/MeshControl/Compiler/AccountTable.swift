import MeshResources

/// The service accounts that manifests declare.
struct AccountTable {
  private var byNamespace: [String: [Located<Resource>]] = [:]

  init(_ snapshot: Snapshot) {
    for located in snapshot.manifests.values {
      if case .serviceAccount = located.value { byNamespace[located.value.key.namespace, default: []].append(located) }
    }
  }

  /// Where a namespace declares service accounts, a workload of an undeclared one is likely misspelt.
  func warning(of workload: RegisteredWorkload) -> ManifestProblem? {
    guard let declared = byNamespace[workload.namespace],
      !declared.contains(where: { $0.value.key.name == workload.serviceAccount }),
      let first = declared.min(by: { $0.position < $1.position })
    else { return nil }
    let nearest = Suggestion.nearest(to: workload.serviceAccount, among: declared.map(\.value.key.name).sorted())
    return ManifestProblem(
      position: first.position, object: "ServiceAccount \(workload.namespace)/\(workload.serviceAccount)",
      message: "the workload \(workload.name) runs as this account, which no manifest declares",
      fix: nearest.map { "did you mean \($0)?" } ?? "add a ServiceAccount", severity: .warning,
      code: .accountNotDeclared)
  }
}
