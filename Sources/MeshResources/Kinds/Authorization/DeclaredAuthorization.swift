package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 AuthorizationPolicy`: who may call whom, for the mesh, a namespace, or a service.
package struct DeclaredAuthorization: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// `Mesh` in the root namespace and else `Namespace`, where the manifest names none.
  package var targets: [PolicyTarget]
  /// What happens to calls that no rule speaks of.
  package var mode: AuthorizationMode?
  /// Nil: the policy sets a mode and nothing else.
  package var action: AuthorizationAction?
  package var rules: [Rule]

  /// A rule with the ports of its operations, which say where it goes and not what it asks of a call.
  package struct Rule: Hashable, Sendable {
    package var sources: [AuthorizationSource]
    package var operations: [Operation]
    package var conditions: [AuthorizationCondition]

    package init(
      sources: [AuthorizationSource] = [], operations: [Operation] = [], conditions: [AuthorizationCondition] = []
    ) {
      self.sources = sources
      self.operations = operations
      self.conditions = conditions
    }

    /// What is left of it for a port that has these numbers; nil: nothing.
    fileprivate func rule(forPort numbers: Set<UInt16>) -> AuthorizationRule? {
      let here = operations.filter { operation in
        (operation.ports.values.isEmpty || !numbers.isDisjoint(with: operation.ports.values))
          && numbers.isDisjoint(with: operation.ports.notValues)
      }
      if here.isEmpty, !operations.isEmpty { return nil }
      // One that asks for nothing but the port holds whatever the others ask for.
      let rest = here.contains { $0.request.isEmpty } ? [] : here.map(\.request)
      return AuthorizationRule(sources: sources, operations: rest, conditions: conditions)
    }
  }

  package struct Operation: Hashable, Sendable {
    package var ports: Selection<UInt16>
    package var request: AuthorizationOperation
  }

  /// It says nothing of who may call: what is left of one that cannot be read closes nothing, either.
  package var isAuditAlone: Bool { action == .audit && mode == nil }

  /// `shop/web-only`.
  package var name: String { "\(metadata.namespace)/\(metadata.name)" }

  /// What it says of a port that has these numbers, that of the Service and that of the program. Nil: nothing. An `allow` policy without a rule
  /// for a port stays, since it admits nobody there.
  package func policy(forPort numbers: Set<UInt16>) -> AuthorizationPolicy? {
    guard let action else { return nil }
    let rules = rules.compactMap { $0.rule(forPort: numbers) }
    if rules.isEmpty, action != .allow { return nil }
    return AuthorizationPolicy(name: name, action: action, rules: rules)
  }
}
