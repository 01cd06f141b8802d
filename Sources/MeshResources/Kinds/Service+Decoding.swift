import MeshCore
import MeshPolicy

extension Service {
  /// Reads `v1 Service`; nil after at least one problem was reported.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .label)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let type = spec.optional("type")?.word(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
    let isName = type == "ExternalName"
    let name = Self.externalName(spec, isName: isName)
    let selector = spec.optional("selector")?.labels() ?? [:]
    let publish = spec.optional("publishNotReadyAddresses").map { $0.bool() ?? false } ?? false
    if let affinity = spec.optional("sessionAffinity"), affinity.word(["None", "ClientIP"]) == "ClientIP" {
      affinity.error("ClientIP is not supported yet", fix: "remove it, or write None")
    }
    let ports = Self.ports(isName ? spec.optional("ports") : spec.required("ports", fix: "list at least one port"))
    let isHeadless = ["clusterIP", "clusterIPs"].map { spec.headless($0) }.contains(true)
    spec.noEffect(
      "externalIPs", "externalTrafficPolicy", "internalTrafficPolicy", "ipFamilies",
      "ipFamilyPolicy", "loadBalancerClass", "loadBalancerIP", "loadBalancerSourceRanges",
      "allocateLoadBalancerNodePorts", "healthCheckNodePort", "sessionAffinityConfig")
    let prefersOwnZone = spec.optional("trafficDistribution").map { Self.prefersOwnZone($0) } ?? false
    spec.finish()
    self.init(
      metadata: metadata, ports: ports, selector: selector, publishNotReadyAddresses: publish, isHeadless: isHeadless,
      externalName: name, prefersOwnZone: prefersOwnZone)
  }

  /// KEP-3015: `PreferClose` is the older name of `PreferSameZone`.
  private static func prefersOwnZone(_ field: Field) -> Bool {
    guard let word = field.word(["PreferClose", "PreferSameZone", "PreferSameNode"]) else { return false }
    if word == "PreferSameNode" {
      field.warning("nodes are not known to the mesh: zones count, as with PreferSameZone", fix: "write PreferSameZone")
    }
    return true
  }

  /// The name that a Service of type ExternalName stands for. Its ports and selector mean nothing, as in a cluster.
  private static func externalName(_ spec: Fields, isName: Bool) -> String? {
    guard isName else {
      spec.noEffect("externalName")
      return nil
    }
    for field in ["ports", "selector"] where spec.optional(field) != nil {
      spec.warning(field, "has no effect on a Service of type ExternalName", fix: "remove it")
    }
    return spec.required("externalName", fix: "write the name that this Service stands for")?.dnsName()
  }

  private static func ports(_ field: Field?) -> [Port] {
    guard let field else { return [] }
    let elements = field.elements(atMost: 100)
    if elements.isEmpty { field.error("must not be empty", fix: "list at least one port") }
    var ports: [Port] = []
    for element in elements {
      guard let fields = element.fields() else { continue }
      guard let port = Self.port(fields) else { continue }
      if elements.count > 1, port.name.isEmpty {
        fields.error("name", "is required when a service has several ports", fix: "name the port")
      }
      if ports.contains(where: { $0.port == port.port }) { element.error("port \(port.port) is listed twice") }
      if !port.name.isEmpty, ports.contains(where: { $0.name == port.name }) {
        element.error("the name \(port.name) is used twice")
      }
      ports.append(port)
    }
    return ports
  }

  /// Nil for a port that is refused or that the mesh leaves out.
  private static func port(_ fields: Fields) -> Port? {
    let name = fields.optional("name").flatMap { $0.portName() } ?? ""
    let number = fields.required("port")?.port()
    var target: TargetPort?
    if let field = fields.optional("targetPort") {
      if case .string(let text) = field.node.value, Int(text) == nil {
        target = field.portName().map { .name($0) }
      } else {
        target = field.port().map { .number($0) }
      }
    }
    let declared = fields.optional("appProtocol")
    let appProtocol = AppProtocol(declared?.nonEmptyString(), portName: name)
    if appProtocol == nil {
      declared?.warning(
        "is not a protocol Apus knows, so the port carries plain TCP", fix: "use http, http2, grpc or tcp")
    }
    var isTCP = true
    if let field = fields.optional("protocol"), let word = field.word(["TCP", "UDP", "SCTP"]), word != "TCP" {
      field.warning("\(word) ports are left out: the mesh carries TCP only")
      isTCP = false
    }
    fields.noEffect("nodePort")
    fields.finish()
    guard let number, isTCP else { return nil }
    return Port(name: name, port: number, targetPort: target, appProtocol: appProtocol ?? .tcp)
  }
}

extension Fields {
  /// Whether the field says `None`; an address in it has no effect.
  fileprivate func headless(_ name: String) -> Bool {
    guard let field = optional(name) else { return false }
    if field.node.text == "None" { return true }
    if case .sequence(let nodes) = field.node.value, nodes.first?.text == "None" { return true }
    field.warning("has no effect on one machine")
    return false
  }
}

extension Field {
  /// In lower case, without the dot that may end it.
  fileprivate func dnsName() -> String? {
    guard let text = string() else { return nil }
    var name = text.lowercased()
    if name.hasSuffix(".") { name.removeLast() }
    guard NameSyntax.isSubdomain(name), SocketAddress(name, defaultPort: 1) == nil else {
      error("\"\(text)\" is not a name of the DNS", fix: "write a name such as orders.shop.svc.cluster.local")
      return nil
    }
    return name
  }
}

extension AppProtocol {
  /// What a service port speaks: its `appProtocol` (IANA names and those of `kubernetes.io`, GEP-1911), else the prefix
  /// of its name (`grpc`, `grpc-admin`), else HTTP. Nil for a protocol that is not known.
  package init?(_ appProtocol: String?, portName: String) {
    let word = appProtocol?.lowercased() ?? String(portName.prefix { $0 != "-" })
    switch word {
    case "http", "kubernetes.io/ws": self = .http
    case "http2", "h2c", "kubernetes.io/h2c": self = .http2
    case "grpc": self = .grpc
    case "tcp", "tls", "https", "kubernetes.io/wss", "mysql", "postgresql", "postgres", "redis", "mongo", "mongodb",
      "amqp", "kafka", "smtp", "ldap", "ftp", "ssh", "mqtt", "nats":
      self = .tcp
    default:
      guard appProtocol == nil else { return nil }
      self = .http
    }
  }
}

extension ServiceAccount {
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    object.noEffect("secrets", "imagePullSecrets", "automountServiceAccountToken")
    object.finish()
    guard let metadata else { return nil }
    self.init(metadata: metadata)
  }
}
