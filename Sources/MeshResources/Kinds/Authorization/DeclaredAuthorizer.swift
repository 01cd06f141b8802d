package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 ExternalAuthorizer`: the provider that policies with the action `custom` name.
package struct DeclaredAuthorizer: Hashable, Sendable {
  package var metadata: ObjectMetadata
  package var authorizer: ExternalAuthorizer

  package init(metadata: ObjectMetadata, authorizer: ExternalAuthorizer) {
    self.metadata = metadata
    self.authorizer = authorizer
  }

  /// `shop/opa`.
  package var name: String { "\(metadata.namespace)/\(metadata.name)" }
}
