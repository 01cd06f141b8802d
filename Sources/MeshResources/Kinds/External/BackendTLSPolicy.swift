import MeshPolicy

/// `gateway.networking.k8s.io/v1 BackendTLSPolicy`: proxies speak TLS to the endpoints of its targets that are outside the mesh.
package struct BackendTLSPolicy: Hashable, Sendable {
  package var metadata: ObjectMetadata
  /// Services, and ExternalServices.
  package var targets: [PolicyTarget]
  package var validation: TLSValidation

  package init(metadata: ObjectMetadata, targets: [PolicyTarget], validation: TLSValidation) {
    self.metadata = metadata
    self.targets = targets
    self.validation = validation
  }
}

extension BackendTLSPolicy {
  private static let maximumOptions = 16
  private static let versionOption = "mesh.apus.dev/minimum-tls-version"

  /// Reads the object; nil when it has no metadata or spec. One with errors is refused, and keeps its targets all the same: what it
  /// is for is then not spoken to at all.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let targets = PolicyTarget.list(spec, namespace: metadata.namespace)
    for (target, field) in targets where target.kind != .service && target.kind != .externalService {
      field.error("a BackendTLSPolicy is for a Service or an ExternalService", fix: "name the services")
    }
    var version: TLSOrigination.Version?
    for (key, field) in spec.optional("options")?.entries().prefix(Self.maximumOptions + 1) ?? [] {
      if key == Self.versionOption {
        version = field.tlsVersion()
        continue
      }
      field.warning("the option \(key) is not known here and has no effect", fix: "remove it")
    }
    var validation = TLSValidation(authorities: .refs([]), hostname: nil)
    if let fields = spec.required("validation", fix: "say whom to trust: validation.hostname and caCertificateRefs")?
      .fields()
    {
      validation = TLSValidation(fields, isInline: false)
      validation.minimumVersion = version ?? .tls12
      if fields.optional("hostname") == nil {
        fields.error("hostname", "is required", fix: "write the name in the server's certificate")
      }
      fields.finish()
    }
    spec.finish()
    self.init(metadata: metadata, targets: targets.map(\.target), validation: validation)
  }
}

/// `v1 ConfigMap`: what authorities it holds for BackendTLSPolicies and ExternalServices. Its other data means nothing here.
package struct ConfigMap: Hashable, Sendable {
  package static let authorityKey = "ca.crt"

  package var metadata: ObjectMetadata
  /// PEM; nil when it has none.
  package var authorities: String?

  package init(metadata: ObjectMetadata, authorities: String?) {
    self.metadata = metadata
    self.authorities = authorities
  }

  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    object.allow("binaryData", "immutable")
    let data = object.optional("data")?.entries() ?? []
    object.finish()
    guard let metadata else { return nil }
    let entry = data.first { $0.key == Self.authorityKey }
    self.init(metadata: metadata, authorities: entry.flatMap { $0.field.string() })
  }
}
