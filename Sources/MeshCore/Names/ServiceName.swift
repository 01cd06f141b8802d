/// A service's identity in the mesh: `name.namespace`, as `orders.shop`.
///
/// Written `orders`, `orders.shop`, `orders.shop.svc` or `orders.shop.svc.cluster.local`; all mean the same service.
public struct ServiceName: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var name: String
  public var namespace: String

  public init(name: String, namespace: String) {
    self.name = name
    self.namespace = namespace
  }

  /// Which names of single endpoints are read.
  public enum EndpointNames: Sendable {
    case none
    /// Those that end in `.svc`: three labels are more likely a host outside the mesh, such as `www.example.com`.
    case qualified
    case any
  }

  /// Reads one of the four spellings; `namespace` completes the shortest. Nil when the host names no service,
  /// such as an IP address, a host with more labels, or a label that is not a DNS label.
  ///
  /// Where `endpoints` allows it, one label more names an endpoint of a headless service, as `db-0.db.shop` does: in this mesh a
  /// service of its own, called `db-0.db`.
  public init?(
    host: some StringProtocol, namespace: String, clusterDomain: String = "cluster.local",
    endpoints: EndpointNames = .none
  ) {
    // Only ASCII folds here: Unicode's lower case turns the Kelvin sign into a `k`.
    guard host.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
    var host = host.lowercased()
    if host.hasSuffix(".") { host.removeLast() }
    var isQualified = false
    for suffix in [".svc." + clusterDomain, ".svc"] where host.hasSuffix(suffix) {
      // `orders.svc` is the service `orders` of a namespace that is called `svc`.
      guard host.dropLast(suffix.count).contains(".") else { continue }
      host.removeLast(suffix.count)
      isQualified = true
      break
    }
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    let isEndpoint = labels.count == 3 && (endpoints == .any || endpoints == .qualified && isQualified)
    guard labels.count == 2 || labels.count == 1 && !isQualified || isEndpoint, labels.allSatisfy(Self.isLabel) else {
      return nil
    }
    if labels.count == 1, labels[0] == "localhost" { return nil }
    name = labels.count == 3 ? "\(labels[0]).\(labels[1])" : String(labels[0])
    self.namespace = labels.count == 1 ? namespace : String(labels[labels.count - 1])
  }

  public var description: String { "\(name).\(namespace)" }

  public static func < (a: ServiceName, b: ServiceName) -> Bool {
    (a.namespace, a.name) < (b.namespace, b.name)
  }

  /// RFC 1123 label: 1 to 63 of `a-z 0-9 -`, no hyphen at either end, not all digits (that would be an address).
  public static func isLabel(_ label: some StringProtocol) -> Bool {
    let bytes = label.utf8
    guard (1...63).contains(bytes.count), label.first != "-", !label.hasSuffix("-") else { return false }
    guard bytes.contains(where: { !(0x30...0x39).contains($0) }) else { return false }
    return bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
  }
}

/// One port of a service: what a proxy subscribes to. Written `orders.shop:80`.
public struct ServicePort: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var service: ServiceName
  public var port: UInt16

  public init(service: ServiceName, port: UInt16) {
    self.service = service
    self.port = port
  }

  /// Reads `name.namespace:port`.
  public init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0,
      let service = ServiceName(host: text[..<colon], namespace: "", endpoints: .any), !service.namespace.isEmpty
    else { return nil }
    self.init(service: service, port: port)
  }

  /// Reads the authority of a request, as `orders.shop:8080`; what it leaves out is the client's namespace and the scheme's port.
  /// Nil when it names no service.
  public init?(authority: String, namespace: String, defaultPort: UInt16) {
    var host = Substring(authority)
    var port = defaultPort
    if let colon = authority.lastIndex(of: ":") {
      guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
      port = number
      host = authority[..<colon]
    }
    guard let name = ServiceName(host: host, namespace: namespace, endpoints: .qualified) else { return nil }
    self.init(service: name, port: port)
  }

  public var description: String { "\(service):\(port)" }

  public static func < (a: ServicePort, b: ServicePort) -> Bool {
    (a.service, a.port) < (b.service, b.port)
  }
}
