import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

/// Compiles a part of a mesh again after each change, and everything beside it: both must come to the same.
struct PartAndWhole {
  var compiler = IncrementalCompiler()

  init(_ snapshot: Snapshot) { _ = compiler.compile(snapshot, changed: nil, now: 1) }

  mutating func check(_ snapshot: Snapshot, changed: Set<ResourceKey>, _ hint: String = "") {
    let before = compiler.mesh
    let difference = compiler.compile(snapshot, changed: changed, now: 1)
    var whole = MeshCompiler.compile(snapshot)
    whole.routes = whole.routes.dated(after: [], now: 1)
    whole.policyStatuses = whole.policyStatuses.dated(after: [], now: 1)
    let part = compiler.mesh
    #expect(part.services == whole.services, "\(hint)")
    #expect(part.consumers == whole.consumers, "\(hint)")
    #expect(part.endpoints == whole.endpoints, "\(hint)")
    #expect(part.workloads == whole.workloads, "\(hint)")
    #expect(part.unready == whole.unready, "\(hint)")
    #expect(part.hashes == whole.hashes, "\(hint)")
    #expect(part.warnings == whole.warnings, "\(hint)")
    #expect(part.routes == whole.routes, "\(hint)")
    #expect(part.policyStatuses == whole.policyStatuses, "\(hint)")
    #expect(part.rollouts == whole.rollouts, "\(hint)")
    #expect(part.namespaces == whole.namespaces, "\(hint)")
    for port in whole.endpoints.keys {
      #expect(part.meshTLS.entries(of: port) == whole.meshTLS.entries(of: port), "\(hint)")
    }
    #expect(difference == CompiledMesh.difference(from: before, to: whole), "\(hint)")
  }
}
