/// `mesh.apus.dev/v1alpha1 TrafficPolicy`: how requests are balanced, limited, repeated and timed, for the mesh, a namespace, a
/// service, one of its ports, a route, or one of its rules.
package struct TrafficPolicy: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var targets: [PolicyTarget]
  /// Ordered as `PolicyField`, each field at most once.
  package var settings: [PolicySetting]

  package init(metadata: ObjectMetadata, targets: [PolicyTarget], settings: [PolicySetting]) {
    self.metadata = metadata
    self.targets = targets
    self.settings = settings
  }
}
