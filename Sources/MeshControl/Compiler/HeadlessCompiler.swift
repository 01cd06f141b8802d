import MeshCore
import MeshPolicy
import MeshResources

/// Names of single endpoints of headless services, such as `db-0.db.shop.svc`: in a cluster the DNS has a record for each.
///
/// Each is a service of its own, of the endpoints with that name: the workload's, or what the EndpointSlice calls it. Rules of routes do not
/// apply, as to the headless service; its policies do.
enum HeadlessCompiler {
  static func add(to mesh: inout CompiledMesh, _ table: ServiceTable, _ rule: (ServicePort, AppProtocol) -> RouteRule) {
    for service in table.services.values where service.isHeadless {
      for port in service.ports {
        let key = ServicePort(service: service.name, port: port.port)
        guard let set = mesh.endpoints[key] else { continue }
        let named = Dictionary(grouping: set.endpoints) { $0.workload }
        for (name, endpoints) in named where ServiceName.isLabel(name) {
          let own = ServicePort(
            service: ServiceName(name: "\(name).\(service.name.name)", namespace: service.name.namespace),
            port: port.port)
          var part = set
          part.key = own
          part.endpoints = endpoints
          mesh.endpoints[own] = part
          var direct = rule(key, port.appProtocol)
          direct.name = RouteRule.direct(own).name
          // The client has said which endpoint it wants.
          direct.session = nil
          direct.backends = RouteRule.direct(own).backends
          mesh.services[own] = ServiceConfig(key: own, appProtocol: port.appProtocol, rules: [direct])
        }
      }
    }
  }
}
