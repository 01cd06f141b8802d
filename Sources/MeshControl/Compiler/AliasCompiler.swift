import MeshCore
import MeshPolicy
import MeshResources

/// Services of type ExternalName: other names of services, as a CNAME is in the DNS.
///
/// A client of the name gets what a client of the service gets, its routes included. The name itself is neither parent nor
/// backend of a route (CVE-2021-25740).
struct AliasCompiler {
  /// Names of names that are followed; more are a mistake, or go in a circle.
  private static let maximumSteps = 8

  let table: ServiceTable
  private(set) var warnings: [ManifestProblem] = []

  init(table: ServiceTable) { self.table = table }

  /// Gives each name the ports of its service.
  mutating func add(to mesh: inout CompiledMesh) {
    let services = Dictionary(grouping: mesh.services.values, by: \.key.service)
    let consumers = Dictionary(grouping: mesh.consumers) { $0.key.port.service }
    for (name, alias) in table.aliases.sorted(by: { $0.key < $1.key }) {
      guard let target = target(of: name, alias) else { continue }
      for var config in services[target] ?? [] {
        config.key.service = name
        mesh.services[config.key] = config
      }
      for (key, config) in consumers[target] ?? [] {
        var (key, config) = (key, config)
        key.port.service = name
        config.key.service = name
        mesh.consumers[key] = config
      }
    }
  }

  /// The service at the end, which may be named through other names.
  private mutating func target(of name: ServiceName, _ alias: Located<Service>) -> ServiceName? {
    var (place, host) = (name, alias.value.externalName ?? "")
    for _ in 0..<Self.maximumSteps {
      guard let next = ServiceName(host: host, namespace: place.namespace) else {
        warn(
          alias, "\(host) is outside the mesh, so the name has no meaning in it: requests for it are answered 404",
          fix: "ask for \(host) itself, or write a ClusterIP Service with an EndpointSlice of its addresses")
        return nil
      }
      if table.services[next] != nil { return next }
      guard let further = table.aliases[next]?.value.externalName else {
        warn(
          alias, "there is no Service \(next.path), so requests for the name are answered 404",
          fix: table.fix(forMissing: next))
        return nil
      }
      (place, host) = (next, further)
    }
    warn(
      alias, "the name leads through more than \(Self.maximumSteps) others, or in a circle",
      fix: "name the Service itself")
    return nil
  }

  private mutating func warn(_ alias: Located<Service>, _ message: String, fix: String) {
    warnings.append(alias.warning("spec.externalName", message, fix: fix, code: .aliasUnresolved))
  }
}
