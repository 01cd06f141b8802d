import MeshCore
import MeshPolicy
import MeshResources

// MARK: - Subsets and zones

extension MeshAnalysis {
  /// Values of a subset's label that a policy or the filters of a rule ask for, and that no endpoint has, ready or not.
  func subsetsWithoutEndpoints() -> [Finding] {
    guard isLive else { return [] }
    var findings: [Finding] = []
    for (port, set) in mesh.endpoints.sorted(by: { $0.key < $1.key }) {
      guard let subset = set.policy.balancing.subset else { continue }
      let values = Set((set.endpoints + (mesh.unready[port] ?? [])).compactMap { $0.labels[subset.label] })
      if let value = subset.defaultValue, !values.contains(value),
        let source = mesh.policies.effective(for: port).entries[.subset]?.source
      {
        findings.append(
          Finding(
            .subsetUnreachable, at: source.position, source.policy.description, "spec.balancer.subset.default",
            "no endpoint of \(port) has the label \(subset.label)=\(value)", fix: Self.fix(values, subset.label),
            isLive: isLive))
      }
      findings += routesToMissingSubsets(of: port, subset, values)
    }
    return findings
  }

  private func routesToMissingSubsets(
    of port: ServicePort, _ subset: SubsetPolicy, _ values: Set<String>
  ) -> [Finding] {
    attachments.routes.flatMap { route in
      route.rules.enumerated().flatMap { index, rule in
        rule.backends.enumerated().compactMap { position, backend -> Finding? in
          guard backend.ref.servicePort == port,
            let value = (rule.filters + backend.filters).compactMap({ $0.value(of: subset.header) }).last,
            !values.contains(value)
          else { return nil }
          return finding(
            .subsetUnreachable, route, "spec.rules[\(index)].backendRefs[\(position)]",
            "sets \(subset.header): \(value), and no endpoint of \(port) has the label \(subset.label)=\(value)",
            fix: Self.fix(values, subset.label))
        }
      }
    }
  }

  private static func fix(_ values: Set<String>, _ label: String) -> String {
    values.isEmpty
      ? "apus run --label \(label)=VALUE" : "its endpoints have \(label) \(values.sorted().joined(separator: ", "))"
  }

  func unusedWorkloads() -> [Finding] {
    let selected = Set(
      table.services.values.flatMap(\.members).filter { !$0.isRegistered }.map { "\($0.namespace)/\($0.name)" })
    return snapshot.manifests.values.compactMap { located in
      guard case .workload = located.value else { return nil }
      let key = located.value.key
      guard !selected.contains("\(key.namespace)/\(key.name)") else { return nil }
      return Finding(
        .workloadUnused, at: located.position, key.description, "metadata.labels", "no Service selects its labels",
        fix: "give it the labels of a Service's selector", isLive: isLive)
    }
  }

  func unknownZones() -> [Finding] {
    guard isLive else { return [] }
    return mesh.endpoints.sorted { $0.key < $1.key }.compactMap { port, set in
      guard set.policy.balancing.locality != nil, !set.endpoints.isEmpty,
        set.endpoints.allSatisfy({ $0.locality.zone.isEmpty }),
        let source = mesh.policies.effective(for: port).entries[.locality]?.source
      else { return nil }
      let field = source.policy.kind == "Service" ? "spec.trafficDistribution" : "spec.balancer.locality"
      return Finding(
        .zonesUnknown, at: source.position, source.policy.description, field,
        "of none of the endpoints of \(port) the zone is known", fix: "apus run --zone ZONE", isLive: isLive)
    }
  }
}

extension DeclaredFilter {
  /// What every request has in the field after the filter; nil where that depends on the request.
  fileprivate func value(of header: String) -> String? {
    guard case .ready(.headers(let filter)) = self, filter.direction == .request else { return nil }
    return filter.set.last { $0.name.lowercased() == header }?.value
  }
}
