package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 MeshTLS`: whether callers of some workloads must come with a certificate of the mesh.
package struct MeshTLS: Hashable, Sendable {
  package struct Port: Hashable, Sendable {
    /// Where the program listens.
    package var port: UInt16
    package var mode: MeshTLSMode
  }

  package var metadata: ObjectMetadata
  /// Labels of the workloads that it is for, all of its own namespace. Empty: the whole namespace, or from the root namespace the
  /// whole mesh.
  package var selector: [String: String]
  /// Nil: it speaks of `ports` only.
  package var mode: MeshTLSMode?
  /// These go before `mode`.
  package var ports: [Port]

  package init(
    metadata: ObjectMetadata, selector: [String: String] = [:], mode: MeshTLSMode? = nil, ports: [Port] = []
  ) {
    self.metadata = metadata
    self.selector = selector
    self.mode = mode
    self.ports = ports
  }
}

extension MeshTLS {
  private static let maximumPorts = 64
  private static let modes = MeshTLSMode.allCases.map(\.rawValue)

  /// Reads the object; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    self.init(metadata: metadata)
    if let fields = spec.optional("selector")?.fields() {
      let labels = fields.required("matchLabels", fix: "write matchLabels: {app: orders}, or remove the selector")
      selector = labels?.labels() ?? [:]
      if let labels, selector.isEmpty { labels.error("must not be empty", fix: "name a label, or remove the selector") }
      fields.finish()
    }
    mode = spec.optional("mode").flatMap { $0.meshTLSMode() }
    readPorts(spec)
    if mode == nil, ports.isEmpty, !spec.context.hasErrors {
      spec.error("says nothing", fix: "write mode: \(Self.modes.joined(separator: ", ")), or ports")
    }
    spec.finish()
  }

  private mutating func readPorts(_ spec: Fields) {
    guard let list = spec.optional("ports") else { return }
    for element in list.elements(atMost: Self.maximumPorts) {
      guard let fields = element.fields() else { continue }
      let port = fields.required("port")?.port()
      let mode = fields.required("mode", fix: "one of \(Self.modes.joined(separator: ", "))")?.meshTLSMode()
      fields.finish()
      guard let port, let mode else { continue }
      if ports.contains(where: { $0.port == port }) { element.error("port \(port) is listed twice") }
      ports.append(Port(port: port, mode: mode))
    }
  }
}

extension Field {
  fileprivate func meshTLSMode() -> MeshTLSMode? {
    word(MeshTLSMode.allCases.map(\.rawValue)).flatMap(MeshTLSMode.init)
  }
}
