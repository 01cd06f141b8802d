import MeshAPI
import MeshCore
import MeshResources
import SwiftProtobuf

extension Apus_V1_RoutesResponse {
  /// As a cluster's objects would name the writer of their status.
  private static let statusWriter = "mesh.apus.dev/controller"

  init(_ routes: [RouteStatus], matching request: Apus_V1_RoutesRequest) {
    self.init()
    controllerName = Self.statusWriter
    self.routes = routes.filter { request.asksFor($0.key) }.map(Apus_V1_RouteStatus.init)
  }
}

extension Apus_V1_RoutesRequest {
  fileprivate func asksFor(_ key: ResourceKey) -> Bool {
    (kind.isEmpty || kind == key.kind) && (namespace.isEmpty || namespace == key.namespace)
      && (name.isEmpty || name == key.name)
  }
}

extension Apus_V1_RouteStatus {
  fileprivate init(_ status: RouteStatus) {
    self.init()
    apiVersion = status.key.apiVersion
    kind = status.key.kind
    namespace = status.key.namespace
    name = status.key.name
    file = status.position.file
    line = UInt32(clamping: status.position.line)
    created = status.creationTime ?? 0
    generation = status.generation ?? 0
    conditions = status.conditions.map(Apus_V1_Condition.init)
    parents = status.parents.map { parent in
      .with {
        $0.kind = "Service"
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
