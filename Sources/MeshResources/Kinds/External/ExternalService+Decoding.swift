import MeshCore
import MeshPolicy

extension ExternalService {
  /// Reads `mesh.apus.dev/v1alpha1 ExternalService`; nil when it has no metadata or spec.
  init?(_ object: Fields) {
    // It shares its name's place with Services.
    let metadata = ObjectMetadata(object, nameRule: .label)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    self.init(metadata: metadata, hosts: [], ports: [], endpoints: [])
    hosts = Self.hosts(spec.required("hosts", fix: "list the names that programs call, such as api.example.com"))
    ports = Self.ports(spec.required("ports", fix: "list at least one port"))
    let word = spec.required("resolution", fix: "write resolution: DNS, or Static with endpoints")?
      .word(["DNS", "Static"])
    if word == "DNS" {
      readNames(spec)
    } else {
      if let dns = spec.optional("dns") { dns.error("is for resolution: DNS", fix: "remove it") }
      if word == "Static" { readEndpoints(spec) } else { spec.allow("endpoints") }
      checkNames(spec)
    }
    spec.finish()
  }

  private static func hosts(_ field: Field?) -> [String] {
    guard let field else { return [] }
    let elements = field.elements(atMost: ExternalServiceLimits.hosts)
    if elements.isEmpty { field.error("must not be empty", fix: "list at least one host") }
    var hosts: [String] = []
    for element in elements {
      guard let host = element.externalHost() else { continue }
      if hosts.contains(host) { element.error("\(host) is listed twice") }
      hosts.append(host)
    }
    return hosts
  }

  // MARK: - Ports

  private static func ports(_ field: Field?) -> [Port] {
    guard let field else { return [] }
    let elements = field.elements(atMost: ExternalServiceLimits.ports)
    if elements.isEmpty { field.error("must not be empty", fix: "list at least one port") }
    var ports: [Port] = []
    for element in elements {
      guard let fields = element.fields(), let port = Self.port(fields) else { continue }
      if ports.contains(where: { $0.port == port.port }) { element.error("port \(port.port) is listed twice") }
      if !port.name.isEmpty, ports.contains(where: { $0.name == port.name }) {
        element.error("the name \(port.name) is used twice")
      }
      ports.append(port)
    }
    return ports
  }

  private static func port(_ fields: Fields) -> Port? {
    let name = fields.optional("name").flatMap { $0.portName() } ?? ""
    let number = fields.required("port", fix: "write the port that programs name")?.port()
    let target = fields.optional("targetPort")?.port()
    let declared = fields.optional("appProtocol")
    let word = declared?.nonEmptyString()
    let appProtocol = AppProtocol(word, portName: name)
    if appProtocol == nil { declared?.error("is not a protocol Apus knows", fix: "use http, http2, grpc, tls or tcp") }
    var tls: TLSValidation?
    var clientCertificate: TLSOrigination.ClientCertificate?
    if let field = fields.optional("tls"), let block = field.fields() {
      clientCertificate = TLSOrigination.ClientCertificate(block)
      tls = TLSValidation(block, isInline: true)
      block.finish()
      if let word, ["https", "tls", "kubernetes.io/wss"].contains(word.lowercased()) {
        field.error("programs speak TLS to this port themselves", fix: "write appProtocol: http, or remove tls")
      }
    }
    fields.finish()
    guard let number, let appProtocol else { return nil }
    return Port(
      name: name, port: number, targetPort: target, appProtocol: appProtocol, tls: tls,
      clientCertificate: clientCertificate)
  }

  // MARK: - Endpoints

  private mutating func readNames(_ spec: Fields) {
    if let list = spec.optional("endpoints") {
      list.error("the DNS says where the server is", fix: "remove them, or write resolution: Static")
    }
    let standard = NameResolution(hosts: [], port: 0)
    var (minimum, maximum) = (standard.minimumTTL, standard.maximumTTL)
    if let fields = spec.optional("dns")?.fields() {
      // One bound alone moves the other out of its way.
      let (least, most) = (fields.ttl("minimumTTL"), fields.ttl("maximumTTL"))
      minimum = least ?? min(minimum, most ?? minimum)
      maximum = most ?? max(maximum, minimum)
      if minimum > maximum { fields.error("minimumTTL", "is more than maximumTTL", fix: "write less") }
      fields.finish()
    }
    resolution = .dns(minimumTTL: minimum, maximumTTL: maximum)
  }

  private mutating func readEndpoints(_ spec: Fields) {
    guard let list = spec.required("endpoints", fix: "list the addresses of the server") else { return }
    let elements = list.elements(atMost: ExternalServiceLimits.endpoints)
    if elements.isEmpty { list.error("must not be empty", fix: "list the addresses of the server") }
    for element in elements {
      guard let fields = element.fields() else { continue }
      let address = fields.required("address")?.address()
      let port = fields.optional("port")
      if let port, ports.count > 1 {
        port.error("the service has several ports", fix: "write targetPort at each of spec.ports")
      }
      let weight = fields.optional("weight")?.integer(in: 1...ExternalServiceLimits.weight) ?? 1
      let labels = fields.optional("labels")?.labels() ?? [:]
      let number = port?.port()
      fields.finish()
      guard let address else { continue }
      let endpoint = Endpoint(
        address: SocketAddress(high: address.high, low: address.low, port: number ?? 0), weight: UInt32(weight),
        labels: labels)
      if endpoints.contains(where: { $0.address == endpoint.address }) { element.error("is listed twice") }
      endpoints.append(endpoint)
    }
  }

  /// The server must be told which of its names is meant, and prove to have it.
  private func checkNames(_ spec: Fields) {
    guard onlyHost == nil, !spec.context.hasErrors else { return }
    for (index, port) in ports.enumerated() where port.tls != nil && port.tls?.hostname == nil {
      spec.error(
        "ports", "port \(port.port) has TLS, and the service has not one name only",
        fix: "write ports[\(index)].tls.hostname")
    }
  }
}

extension Fields {
  fileprivate func ttl(_ name: String) -> TimeSpan? {
    guard let field = optional(name), let time = field.duration() else { return nil }
    guard ExternalServiceLimits.ttl.contains(time) else {
      field.error("must be from 1s to 24h")
      return nil
    }
    return time
  }
}

extension Field {
  /// A name outside the mesh, or a wildcard for all below one.
  fileprivate func externalHost() -> String? {
    guard let text = string() else { return nil }
    let fix = "write a name such as api.example.com or *.example.com"
    let isWildcard = text.hasPrefix("*.")
    let plain = isWildcard ? String(text.dropFirst(2)) : text
    guard let (host, _) = HostName.split(plain, defaultPort: 1), !plain.contains(":"), !plain.isAddress else {
      error("\"\(text)\" is not a name of the DNS", fix: fix)
      return nil
    }
    guard host.contains(".") else {
      error("\"\(text)\" is a name of the mesh: names outside have a dot", fix: fix)
      return nil
    }
    guard !host.hasSuffix(".svc"), !host.hasSuffix(".cluster.local") else {
      error("\"\(text)\" is a name of the mesh", fix: fix)
      return nil
    }
    return isWildcard ? "*.\(host)" : host
  }
}

extension String {
  /// Digits and dots are an address, or nothing that the DNS knows.
  var isAddress: Bool {
    SocketAddress(self, defaultPort: 1) != nil || utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
  }
}
