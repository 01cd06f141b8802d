package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 FaultInjection`: what some requests of services and routes meet on purpose.
package struct FaultInjection: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// Services and routes.
  package var targets: [PolicyTarget]
  package var policy: FaultPolicy

  package init(metadata: ObjectMetadata, targets: [PolicyTarget], policy: FaultPolicy) {
    self.metadata = metadata
    self.targets = targets
    self.policy = policy
  }
}
