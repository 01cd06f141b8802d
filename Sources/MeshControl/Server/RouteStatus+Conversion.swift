import MeshAPI
import MeshCore
import MeshResources
import SwiftProtobuf

extension Apus_V1_RoutesResponse {
  /// As a cluster's objects would name the writer of their status.
  private static let statusWriter = "mesh.apus.dev/controller"

  init(_ routes: [RouteStatus], _ policies: [PolicyStatus] = [], matching request: Apus_V1_RoutesRequest) {
    self.init()
    controllerName = Self.statusWriter
    self.routes = routes.filter { request.asksFor($0.key) }.map(Apus_V1_RouteStatus.init)
    self.routes += policies.filter { request.asksFor($0.key) }.map(Apus_V1_RouteStatus.init)
  }
}

extension Apus_V1_RoutesRequest {
  fileprivate func asksFor(_ key: ResourceKey) -> Bool {
    (kind.isEmpty || kind == key.kind) && (namespace.isEmpty || namespace == key.namespace)
      && (name.isEmpty || name == key.name)
  }
}

extension Apus_V1_RouteStatus {
  private init(_ key: ResourceKey, _ position: ManifestPosition) {
    self.init()
    apiVersion = key.apiVersion
    kind = key.kind
    namespace = key.namespace
    name = key.name
    file = position.file
    line = UInt32(clamping: position.line)
  }

  fileprivate init(_ status: PolicyStatus) {
    self.init(status.key, status.position)
    created = status.creationTime ?? 0
    generation = status.generation ?? 0
    isPolicy = true
    parents = status.ancestors.map { ancestor in
      .with {
        $0.group = ancestor.target.kind.group
        $0.kind = ancestor.target.kind.rawValue
        // The two that are no part of a namespace.
        let isGlobal = ancestor.target.kind == .mesh || ancestor.target.kind == .namespace
        $0.namespace = isGlobal ? "" : status.key.namespace
        $0.name = ancestor.target.name
        $0.sectionName = ancestor.target.sectionName ?? ""
        $0.conditions = ancestor.conditions.map(Apus_V1_Condition.init)
      }
    }
  }

  fileprivate init(_ status: RouteStatus) {
    self.init(status.key, status.position)
    created = status.creationTime ?? 0
    generation = status.generation ?? 0
    conditions = status.conditions.map(Apus_V1_Condition.init)
    parents = status.parents.map { parent in
      .with {
        $0.group = parent.ref.kind.group
        $0.kind = parent.ref.kind.rawValue
        $0.namespace = parent.ref.namespace
        $0.name = parent.ref.service
        $0.sectionName = parent.ref.sectionName ?? ""
        $0.port = UInt32(parent.ref.port ?? 0)
        $0.conditions = parent.conditions.map(Apus_V1_Condition.init)
      }
    }
  }
}

extension Apus_V1_Condition {
  fileprivate init(_ condition: RouteCondition) {
    self.init()
    type = condition.kind.rawValue
    status = condition.isTrue
    reason = condition.reason
    message = condition.message
    sinceMs = condition.since
  }
}
