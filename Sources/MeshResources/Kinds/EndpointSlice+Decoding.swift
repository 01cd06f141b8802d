import MeshCore
import MeshPolicy

extension EndpointSlice {
  package static let serviceNameLabel = "kubernetes.io/service-name"

  /// Reads `discovery.k8s.io/v1 EndpointSlice`; nil after at least one problem was reported.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    if let type = object.required("addressType", fix: "write IPv4 or IPv6"),
      type.word(["IPv4", "IPv6", "FQDN"]) == "FQDN"
    {
      type.error("FQDN endpoints are not supported", fix: "list IP addresses with addressType IPv4 or IPv6")
    }
    let endpoints = object.optional("endpoints")?.elements(atMost: 1000).compactMap(Self.endpoint) ?? []
    let ports = object.optional("ports")?.elements(atMost: 100).compactMap(Self.port) ?? []
    object.finish()
    guard let metadata else { return nil }
    let service = metadata.labels[Self.serviceNameLabel]
    if service == nil {
      object.warning(
        "metadata", "the slice belongs to no service",
        fix: "add the label \(Self.serviceNameLabel)")
    }
    self.init(metadata: metadata, service: service, endpoints: endpoints, ports: ports)
  }

  private static func endpoint(_ field: Field) -> Endpoint? {
    guard let fields = field.fields() else { return nil }
    var address: SocketAddress?
    if let list = fields.required("addresses") {
      let addresses = list.elements(atMost: 100)
      if addresses.isEmpty { list.error("must not be empty") }
      // The API leaves the meaning of further addresses undefined; clients use the first.
      address = addresses.map { $0.address() }.first ?? nil
    }
    let conditions = fields.optional("conditions")?.fields()
    let ready = conditions?.optional("ready")?.bool() ?? true
    let serving = conditions?.optional("serving")?.bool() ?? ready
    let terminating = conditions?.optional("terminating")?.bool() ?? false
    conditions?.finish()
    let target = fields.optional("targetRef")?.fields()
    let targetName = target?.optional("name")?.string()
    target?.allow("kind", "namespace", "uid", "apiVersion", "resourceVersion", "fieldPath")
    target?.finish()
    let hostname = fields.optional("hostname")?.string()
    let zone = fields.optional("zone")?.zone() ?? ""
    // For people: what a node is near to is in `zone`.
    fields.allow("nodeName", "deprecatedTopology")
    fields.noEffect("hints")
    fields.finish()
    guard let address else { return nil }
    return Endpoint(
      address: address, ready: ready, serving: serving, terminating: terminating,
      workload: targetName ?? hostname ?? "", zone: zone)
  }

  /// Nil for a port that is refused or that the mesh leaves out.
  private static func port(_ field: Field) -> WorkloadPort? {
    guard let fields = field.fields() else { return nil }
    let name = fields.optional("name").flatMap { $0.node.text == "" ? "" : $0.portName() } ?? ""
    let number = fields.required("port", fix: "name the port: a slice for all ports is not supported")?.port()
    let transport = fields.optional("protocol")
    let word = transport?.word(["TCP", "UDP", "SCTP"]) ?? "TCP"
    fields.allow("appProtocol")
    fields.finish()
    guard let number else { return nil }
    if word != "TCP" { transport?.warning("\(word) ports are left out: the mesh carries TCP only") }
    return word == "TCP" ? WorkloadPort(name: name, port: number) : nil
  }
}

extension Workload {
  /// Reads `mesh.apus.dev/v1alpha1 Workload`; nil after at least one problem was reported.
  init?(_ object: Fields) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let address = spec.required("address", fix: "write the IP address at which the program listens")?.address()
    let account = spec.optional("serviceAccount").flatMap { $0.subdomain() }
    var labels = metadata.labels.merging(spec.optional("labels")?.labels() ?? [:]) { $1 }
    if let zone = spec.optional("zone"), let name = zone.zone() {
      if let other = labels[Locality.zoneLabel], other != name {
        zone.error("the label \(Locality.zoneLabel) says \(other)", fix: "remove one of the two")
      }
      labels[Locality.zoneLabel] = name
    }
    let weight = spec.count("weight", 1...PolicyLimits.count)
    let ready = spec.optional("ready").flatMap { $0.bool() } ?? true
    let check = spec.optional("healthCheck").flatMap { Self.healthCheck($0) }
    let list = spec.required("ports", fix: "list at least one port")
    let ports = list?.elements(atMost: 100).compactMap { element -> WorkloadPort? in
      guard let fields = element.fields() else { return nil }
      let name = fields.optional("name").flatMap { $0.portName() } ?? ""
      let number = fields.required("port")?.port()
      fields.finish()
      return number.map { WorkloadPort(name: name, port: $0) }
    }
    if let list, ports?.isEmpty == true { list.error("must not be empty", fix: "list at least one port") }
    spec.finish()
    guard let address, let ports else { return nil }
    self.init(
      metadata: metadata, address: address, ports: ports, serviceAccount: account, labels: labels,
      weight: weight ?? 1, ready: ready, healthCheck: check)
  }

  /// In the words of a TrafficPolicy.
  private static func healthCheck(_ field: Field) -> HealthCheckPolicy? {
    guard let fields = field.fields() else { return nil }
    let settings = PolicyReader.healthCheck(fields)
    fields.finish()
    guard case .healthCheck(let check)? = settings.first else { return nil }
    if check == nil { fields.error("enabled", "a Workload's own check is not there, or on", fix: "remove the block") }
    return check
  }
}

extension Field {
  /// An IP address without a port.
  func address() -> SocketAddress? {
    guard let text = string() else { return nil }
    guard let address = SocketAddress(text, defaultPort: 0), address.port == 0, !text.hasPrefix("[") else {
      error("\"\(text)\" is not an IP address", fix: "write an address such as 127.66.0.9, without a port")
      return nil
    }
    if address.isUnspecified { error("\"\(text)\" is not the address of one host") }
    return address
  }
}
