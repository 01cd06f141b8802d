import MeshCore
import MeshPolicy
import MeshResources

/// Looks at a whole mesh for what no single object shows. Pure: a snapshot in, findings out, ordered by place.
///
/// What the compiler warns of is part of it; the rest are questions that only people ask, so that a compilation does not pay for
/// them.
package struct MeshAnalysis {
  let snapshot: Snapshot
  let mesh: CompiledMesh
  let table: ServiceTable
  let attachments: RouteAttachments
  /// The snapshot is of a running mesh; else of manifests alone, which say little about workloads.
  let isLive: Bool

  package static func findings(_ snapshot: Snapshot, isLive: Bool) -> [Finding] {
    let analysis = MeshAnalysis(snapshot, isLive: isLive)
    var findings = analysis.ofManifests()
    findings += analysis.shadowedRules()
    findings += analysis.unservedBackends()
    findings += analysis.detachedRoutes()
    findings += analysis.consumerRoutes()
    findings += analysis.foreignBackends()
    findings += analysis.contradictions()
    findings += analysis.contradictionsOfPolicies()
    findings += analysis.subsetsWithoutEndpoints()
    findings += analysis.unknownZones()
    findings += analysis.unusedWorkloads()
    return findings.ordered()
  }

  private init(_ snapshot: Snapshot, isLive: Bool) {
    self.snapshot = snapshot
    self.isLive = isLive
    let compilation = Compilation(snapshot)
    mesh = compilation.mesh
    table = compilation.table
    attachments =
      RouteCompiler(
        Array(compilation.routes.values), table, compilation.snapshot.sessionKey
      ).attachments
  }

  func finding(
    _ code: FindingCode, _ route: MeshRoute, _ field: String, _ message: String, fix: String = ""
  ) -> Finding {
    Finding(code, at: route.position, route.description, field, message, fix: fix, isLive: isLive)
  }

  // MARK: - What decoders and the compiler say

  private func ofManifests() -> [Finding] {
    snapshot.problems.map { problem in
      var problem = problem
      if problem.severity == .warning, problem.code == nil { problem.code = .manifestWarning }
      return Finding(problem, isLive: isLive)
    } + mesh.warnings.map { Finding($0, isLive: isLive) }
  }

  // MARK: - Routes

  private func detachedRoutes() -> [Finding] {
    attachments.routes.enumerated().compactMap { index, route in
      guard attachments.parents[index].allSatisfy({ $0.failure != nil }) else { return nil }
      return finding(
        .routeDetached, route, "spec.parentRefs", "no parent takes the route, so none of its rules is in force",
        fix: "mend one of its parents")
    }
  }

  private func consumerRoutes() -> [Finding] {
    attachments.routes.enumerated().flatMap { index, route in
      zip(route.parents, attachments.parents[index]).enumerated().compactMap { position, pair in
        let (parent, bound) = pair
        guard bound.failure == nil, !route.isProducer(parent) else { return nil }
        let name = ServiceName(name: parent.service, namespace: parent.namespace)
        let instead = attachments.producer(of: name).map { " in the place of the \($0)" } ?? ""
        return finding(
          .consumerRoute, route, "spec.parentRefs[\(position)]",
          "applies to clients in \(route.metadata.namespace) only\(instead)")
      }
    }
  }

  private func foreignBackends() -> [Finding] {
    let grants = snapshot.manifests.values.compactMap { located -> ReferenceGrant? in
      if case .referenceGrant(let grant) = located.value { grant } else { nil }
    }
    return attachments.routes.flatMap { route in
      route.rules.enumerated().flatMap { index, rule in
        rule.backends.enumerated().compactMap { position, backend in
          let ref = backend.ref
          guard ref.namespace != route.metadata.namespace, ref.kind == "Service",
            table.services[ref.servicePort.service] != nil,
            !grants.contains(where: { $0.allows(route.key, to: ref) })
          else { return nil }
          return finding(
            .referenceNotGranted, route, "spec.rules[\(index)].backendRefs[\(position)]",
            "\(ref.namespace)/\(ref.name) is in another namespace, and no ReferenceGrant there allows it",
            fix: "nothing for the mesh; for gateways a ReferenceGrant in \(ref.namespace)")
        }
      }
    }
  }
}

extension ReferenceGrant {
  func allows(_ route: ResourceKey, to backend: RouteBackendRef) -> Bool {
    metadata.namespace == backend.namespace
      && from.contains { $0.group == route.group && $0.kind == route.kind && $0.namespace == route.namespace }
      && to.contains { $0.group.isEmpty && $0.kind == "Service" && ($0.name ?? backend.name) == backend.name }
  }
}
