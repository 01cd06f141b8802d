package import MeshPolicy

/// `mesh.apus.dev/v1alpha1 MeshConfig`: what holds for the whole mesh. There is one, `apus-system/default`.
package struct MeshConfig: Hashable, Sendable {
  /// Hosts outside the mesh, for some workloads or all.
  package struct EgressRule: Hashable, Sendable {
    package var hosts: [String]
    package var ports: [UInt16]
    /// `shop/web`, or `shop/*` for every account of the namespace. Empty: everyone.
    package var clients: [String]
  }

  package var metadata: ObjectMetadata
  package var egressMode: EgressPolicy.Mode
  package var allow: [EgressRule]
  package var deny: [EgressRule]

  package init(
    metadata: ObjectMetadata, egressMode: EgressPolicy.Mode = .allowAny, allow: [EgressRule] = [],
    deny: [EgressRule] = []
  ) {
    self.metadata = metadata
    self.egressMode = egressMode
    self.allow = allow
    self.deny = deny
  }
}

package enum MeshConfigLimits {
  /// Rules of `egress.allow`, and of `egress.deny`. Each new host of a program is held against all of them, once.
  package static let rules = 256
  package static let hosts = 64
  package static let ports = 64
  package static let clients = 64
}

extension MeshConfig {
  package static let name = "default"

  /// Reads the object; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    self.init(metadata: metadata)
    if metadata.namespace != PolicyTarget.rootNamespace || metadata.name != Self.name {
      spec.error(
        "there is one MeshConfig, \(PolicyTarget.rootNamespace)/\(Self.name)",
        fix: "write metadata: {name: \(Self.name), namespace: \(PolicyTarget.rootNamespace)}")
    }
    if let egress = spec.optional("egress")?.fields() {
      let word = egress.optional("mode")?.word(EgressPolicy.Mode.allCases.map(\.rawValue))
      egressMode = word.flatMap(EgressPolicy.Mode.init) ?? .allowAny
      allow = Self.rules(egress.optional("allow"))
      deny = Self.rules(egress.optional("deny"))
      if egressMode == .allowAny, !allow.isEmpty {
        egress.warning("allow", "ALLOW_ANY allows every host already", fix: "write mode: REGISTRY_ONLY, or remove it")
      }
      egress.finish()
    }
    spec.finish()
  }

  private static func rules(_ list: Field?) -> [EgressRule] {
    guard let list else { return [] }
    return list.elements(atMost: MeshConfigLimits.rules).compactMap { element in
      guard let fields = element.fields() else { return nil }
      let hosts = fields.required("hosts", fix: "list names, *.names, addresses or blocks such as 10.0.0.0/8")
      let ports = fields.optional("ports")?.elements(atMost: MeshConfigLimits.ports).compactMap { $0.port() }
      let clients = fields.optional("clients")?.elements(atMost: MeshConfigLimits.clients).compactMap {
        $0.egressClient()
      }
      fields.finish()
      guard let hosts else { return nil }
      let elements = hosts.elements(atMost: MeshConfigLimits.hosts)
      if elements.isEmpty { hosts.error("must not be empty", fix: "list at least one host") }
      if clients?.isEmpty == true { fields.error("clients", "must not be empty", fix: "remove it, or name accounts") }
      return EgressRule(hosts: elements.compactMap { $0.egressHost() }, ports: ports ?? [], clients: clients ?? [])
    }
  }
}

extension Field {
  fileprivate func egressHost() -> String? {
    guard let text = string() else { return nil }
    let name = text.lowercased()
    if name == "*" || AddressBlock(name) != nil { return name }
    let rest = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
    guard HostName.isName(rest), rest.utf8.contains(where: { !(0x30...0x39).contains($0) && $0 != 0x2E }) else {
      error(
        "\"\(text)\" is no host",
        fix: "write api.example.com, *.example.com, 192.0.2.1, 10.0.0.0/8 or *; ports stand in ports")
      return nil
    }
    return name
  }

  fileprivate func egressClient() -> String? {
    guard let text = string() else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, NameSyntax.isLabel(parts[0]), parts[1] == "*" || NameSyntax.isSubdomain(parts[1]) else {
      error("\"\(text)\" is no service account", fix: "write NAMESPACE/NAME, or NAMESPACE/* for all of a namespace")
      return nil
    }
    return text
  }
}
