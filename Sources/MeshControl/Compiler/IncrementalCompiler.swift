import MeshCore
import MeshPolicy
package import MeshResources

/// Compiles a mesh again after a change, in time that depends on the change where it can.
///
/// What changes most in a large mesh are endpoints, and what people edit are routes. Either concerns the services that it names and nothing
/// else: only those are compiled again (`EndpointPart`, `RoutePart`). Everything else compiles the mesh as a whole. The result is the
/// same either way.
package struct IncrementalCompiler {
  /// More objects or routes than that are compiled with the mesh as a whole.
  private static let routesAtMost = 256

  private var last: Compilation?
  /// How many times a part of the mesh was enough.
  private(set) var partCount = 0

  package init() {}

  package var mesh: CompiledMesh { last?.mesh ?? .empty }

  /// `changed` are the manifests that may be other than in the snapshot before; nil: any may be. The conditions of statuses
  /// get their times, `now` where they changed.
  package mutating func compile(_ snapshot: Snapshot, changed: Set<ResourceKey>?, now: Int64) -> CompiledDifference {
    if let changed, let difference = compilePart(snapshot, changed, now) {
      partCount += 1
      return difference
    }
    var new = Compilation(snapshot)
    let old = mesh
    new.mesh.routes = new.mesh.routes.dated(after: old.routes, now: now)
    new.mesh.policyStatuses = new.mesh.policyStatuses.dated(after: old.policyStatuses, now: now)
    last = new
    return CompiledMesh.difference(from: old, to: new.mesh)
  }

  private mutating func compilePart(
    _ snapshot: Snapshot, _ changed: Set<ResourceKey>, _ now: Int64
  ) -> CompiledDifference? {
    guard var next = last, next.snapshot.isLike(snapshot), changed.count <= Self.routesAtMost else { return nil }
    let workloads = WorkloadChange.between(next.snapshot.workloads, snapshot.workloads)
    if !workloads.isEmpty || EndpointPart.isOfSlicesAlone(changed) {
      guard let part = EndpointPart(next, snapshot, changed, workloads) else { return nil }
      last = nil
      let difference = next.replace(part, snapshot, now)
      last = next
      return difference
    }
    if AuthorizationTable.isConcernedAlone(by: changed, next.snapshot, snapshot) {
      last = nil
      let difference = next.replaceAuthorizations(changed, snapshot, now)
      last = next
      return difference
    }
    guard let part = RoutePart(next, snapshot, changed, atMost: Self.routesAtMost) else { return nil }
    // Not held twice while it is changed: its tables would be copied.
    last = nil
    let difference = next.replace(part, snapshot, now)
    last = next
    return difference
  }
}

/// Routes that changed, every route that shares a service with one of them, and all of those services.
struct RoutePart {
  let changed: Set<ResourceKey>
  let services: Set<ServiceName>
  /// Those that are there now.
  let routes: [MeshRoute]

  /// Nil where the change may concern more than that.
  init?(_ last: Compilation, _ snapshot: Snapshot, _ changed: Set<ResourceKey>, atMost limit: Int) {
    var now = last.routes
    var services: Set<ServiceName> = []
    for key in changed {
      let old = now.removeValue(forKey: key)
      let new = snapshot.manifests[key].flatMap { MeshRoute($0) }
      // What is no route has no place here, and what is gone must have been one.
      guard new != nil || (old != nil && snapshot.manifests[key] == nil) else { return nil }
      for case let route? in [old, new] { services.formUnion(route.parents.map(\.serviceName)) }
      now[key] = new
    }
    var routes: [ResourceKey: MeshRoute] = [:]
    var count = -1
    while routes.count > count {
      count = routes.count
      for (key, route) in now where routes[key] == nil {
        guard changed.contains(key) || route.parents.contains(where: { services.contains($0.serviceName) }) else {
          continue
        }
        routes[key] = route
        services.formUnion(route.parents.map(\.serviceName))
        if routes.count > limit { return nil }
      }
    }
    guard services.isDisjoint(with: last.servicesWithSplitsOrNames), !last.missesTargets, !last.limitsSilence,
      last.namedRoutes.isDisjoint(with: changed.union(routes.keys))
    else { return nil }
    self.changed = changed
    self.services = services
    self.routes = Array(routes.values)
  }
}

extension Compilation {
  /// What of a service stands in other places than its own rules.
  fileprivate var servicesWithSplitsOrNames: Set<ServiceName> {
    var names = Set(splits.splits.map(\.root))
    // A rollout divides the rules; the routes that are targets of one are among those that policies name.
    for rollout in mesh.rollouts {
      for target in rollout.targets where target.kind == .service {
        names.insert(ServiceName(name: target.name, namespace: rollout.key.namespace))
      }
    }
    // A name gets its service's rules. There are few, so whoever has one is compiled as a whole.
    if !table.aliases.isEmpty { names.formUnion(table.services.keys) }
    return names
  }

  /// Whether the backends of routes concern the proxies of their endpoints (`StreamPatience`).
  var limitsSilence: Bool {
    attachments.policies.contains { $0.located.value.settings.contains { $0.field == .idleTimeout } }
  }

  /// Whether a policy or a fault names something that does not exist: which name was meant depends on all that exist.
  fileprivate var missesTargets: Bool {
    attachments.policies.contains { $0.targets.contains { $0.missing != nil } }
      || faults.entries.contains { $0.targets.contains { $0.missing != nil } }
  }

  /// Routes that a policy or a fault has as its target.
  fileprivate var namedRoutes: Set<ResourceKey> {
    let policies = attachments.policies.map { ($0.located.value.targets, $0.located.value.metadata.namespace) }
    let injections = faults.entries.map { ($0.injection.targets, $0.injection.metadata.namespace) }
    return Set(
      (policies + injections).flatMap { targets, namespace in
        targets.map {
          ResourceKey(group: $0.kind.group, kind: $0.kind.rawValue, namespace: namespace, name: $0.name)
        }
      })
  }

  /// Compiles the part's services anew.
  fileprivate mutating func replace(_ part: RoutePart, _ snapshot: Snapshot, _ now: Int64) -> CompiledDifference {
    let compiler = RouteCompiler(part.routes, table, snapshot.sessionKey)
    var difference = replaceConsumers(part, compiler)
    for name in part.services.sorted() {
      for port in table.declared(name)?.ports ?? [] {
        let key = ServicePort(service: name, port: port.port)
        let config =
          compiler.config(of: RouteTarget(port: key, clients: nil), port.appProtocol, attachments.table, faults)
          ?? Self.unrouted(
            key, port.appProtocol, splits, attachments.table.effective(for: key), faults, snapshot.sessionKey)
        mesh.services[key] = config
        let hash = ContentHash(of: config)
        if mesh.hashes.updateValue(hash, forKey: .service(key)) != hash { difference.changed.append(.service(key)) }
      }
    }
    replaceRoutes(part, compiler, snapshot, now)
    difference.changed.sort()
    difference.removed.sort()
    return difference
  }

  private mutating func replaceConsumers(_ part: RoutePart, _ compiler: RouteCompiler) -> CompiledDifference {
    var difference = CompiledDifference(changed: [], removed: [])
    var gone = Set(mesh.consumers.keys.filter { part.services.contains($0.port.service) })
    for target in compiler.attachments.consumerTargets {
      guard let namespace = target.clients,
        let port = table.declared(target.port.service)?.port(target.port.port),
        let config = compiler.config(of: target, port.appProtocol, attachments.table, faults)
      else { continue }
      let consumer = ConsumerPort(namespace: namespace, port: target.port)
      gone.remove(consumer)
      mesh.consumers[consumer] = config
      let hash = ContentHash(of: config)
      if mesh.hashes.updateValue(hash, forKey: .consumer(consumer)) != hash {
        difference.changed.append(.consumer(consumer))
      }
    }
    for consumer in gone {
      mesh.consumers[consumer] = nil
      mesh.hashes[.consumer(consumer)] = nil
      difference.removed.append(.consumer(consumer))
    }
    return difference
  }

  /// The routes themselves, their statuses and what is to be said of them.
  private mutating func replaceRoutes(
    _ part: RoutePart, _ compiler: RouteCompiler, _ snapshot: Snapshot, _ now: Int64
  ) {
    let keys = part.changed.union(part.routes.map(\.key))
    for key in keys { routes[key] = nil }
    for route in part.routes { routes[route.key] = route }
    let old = mesh.routes.filter { keys.contains($0.key) }
    mesh.routes.removeAll { keys.contains($0.key) }
    mesh.routes += RouteStatus.inForce(compiler, RouteStatus.errors(snapshot)).dated(after: old, now: now)
    mesh.routes.sort { $0.key < $1.key }
    let warnings = compiler.warnings
    if !warnings.isEmpty || keys.contains(where: { routeWarnings[$0] != nil }) {
      for key in keys { routeWarnings[key] = warnings[key] }
      mesh.warnings = orderedWarnings()
    }
    self.snapshot = snapshot
  }
}

extension RouteParent {
  fileprivate var serviceName: ServiceName { ServiceName(name: service, namespace: namespace) }
}
