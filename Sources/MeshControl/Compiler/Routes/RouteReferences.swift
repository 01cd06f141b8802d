import MeshCore
import MeshPolicy
import MeshResources

/// Resolves what the backends and mirrors of routes name. No ReferenceGrant is asked for: a mesh exposes nothing that
/// its clients could not reach by themselves (GEP-1294).
struct RouteReferences {
  let table: ServiceTable

  /// The service port that can serve, or nil.
  func resolve(_ ref: RouteBackendRef, for kind: MeshRoute.Kind) -> ServicePort? {
    problem(ref, at: "", kind) == nil ? ref.servicePort : nil
  }

  /// What is wrong in the rules of a route, in their order.
  func findings(of route: MeshRoute) -> [RouteFinding] {
    var findings: [RouteFinding] = []
    for (index, rule) in route.rules.enumerated() {
      let field = "spec.rules[\(index)]"
      if rule.backends.isEmpty, !rule.filters.answer {
        findings.append(
          RouteFinding(
            field: field, message: "has no backendRefs and \(route.kind.failure.active)", code: .noBackend))
      }
      if !rule.backends.isEmpty, rule.backends.allSatisfy({ $0.weight == 0 }) {
        findings.append(
          RouteFinding(
            field: "\(field).backendRefs", message: "all weights are 0, so the rule \(route.kind.failure.active)",
            fix: "give one backend a weight", code: .weightsAreZero))
      }
      findings += mirrors(rule.filters, field, route.kind)
      for (position, backend) in rule.backends.enumerated() {
        let place = "\(field).backendRefs[\(position)]"
        let loss =
          backend.weight == 0 ? "with weight 0 it has no share" : "its share is \(route.kind.failure.passive)"
        if var problem = problem(backend.ref, at: place, route.kind) {
          problem.message += "; \(loss)"
          findings.append(problem)
        } else if route.kind == .grpc, let warning = carriesNoGRPC(backend.ref, at: place) {
          findings.append(warning)
        }
        findings += mirrors(backend.filters, place, route.kind)
      }
    }
    return findings
  }

  /// A port that nothing is said of counts as HTTP/1, so this is no condition: its program may well speak HTTP/2.
  private func carriesNoGRPC(_ ref: RouteBackendRef, at field: String) -> RouteFinding? {
    guard let port = table.backend(ref)?.port(ref.port), !port.appProtocol.isHTTP2 else {
      return nil
    }
    return RouteFinding(
      field: field, message: "port \(ref.port) of \(ref.servicePort.service.path) speaks HTTP/1, which carries no gRPC",
      fix: "write appProtocol: grpc on the \(ref.kind)'s port", code: .backendCarriesNoGRPC)
  }

  private func mirrors(
    _ filters: [DeclaredFilter], _ field: String, _ kind: MeshRoute.Kind
  ) -> [RouteFinding] {
    filters.enumerated().compactMap { index, filter in
      guard case .mirror(let mirror) = filter else { return nil }
      var problem = problem(mirror.backend, at: "\(field).filters[\(index)].requestMirror.backendRef", kind)
      problem?.message += "; nothing is mirrored"
      return problem
    }
  }

  private func problem(_ ref: RouteBackendRef, at field: String, _ kind: MeshRoute.Kind) -> RouteFinding? {
    guard ref.isOfMesh, let kindOfTarget = PolicyTarget.Kind(rawValue: ref.kind) else {
      return RouteFinding(
        reason: .invalidKind, field: field, message: "the kind \(ref.kind) cannot serve", fix: "write kind: Service",
        code: .backendKind)
    }
    let name = ref.servicePort.service
    if kindOfTarget == .service, table.aliases[name] != nil {
      return RouteFinding(
        reason: .unsupportedValue, field: field,
        message: "the Service \(name.path) is a name of another (type ExternalName) and no backend",
        fix: "name the other Service", code: .backendIsAlias)
    }
    guard let service = table.backend(ref) else {
      return RouteFinding(
        reason: .backendNotFound, field: field, message: "there is no \(ref.kind) \(name.path)",
        fix: table.fix(forMissing: name, kindOfTarget), code: .backendNotFound)
    }
    guard let port = service.port(ref.port) else {
      return RouteFinding(
        reason: .backendNotFound, field: field, message: "the \(ref.kind) \(name.path) has no port \(ref.port)",
        fix: "its ports: \(service.portList)", code: .backendPortNotFound)
    }
    guard kind.isOpaque || port.appProtocol != .tcp else {
      return RouteFinding(
        reason: .unsupportedProtocol, field: field, message: "port \(ref.port) of \(name.path) carries TCP",
        fix: "write appProtocol: http, http2 or grpc on the \(ref.kind)'s port", code: .backendCarriesTCP)
    }
    return nil
  }
}

extension ServiceTable {
  /// The Service or the ExternalService that a backend names.
  func backend(_ ref: RouteBackendRef) -> EffectiveService? {
    let name = ref.servicePort.service
    return ref.kind == PolicyTarget.Kind.externalService.rawValue ? externals[name] : services[name]
  }
}

extension RouteBackendRef {
  /// Of a kind that can serve, whether there is such a thing or not.
  var isOfMesh: Bool {
    kind == PolicyTarget.Kind.service.rawValue || kind == PolicyTarget.Kind.externalService.rawValue
  }

  var servicePort: ServicePort {
    ServicePort(service: ServiceName(name: name, namespace: namespace), port: port)
  }
}
