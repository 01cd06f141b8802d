import MeshCore
import MeshPolicy

/// How long the proxies of endpoints let streams be silent: as long as the most patient rule that leads to them. The clients' proxies know
/// which rule a stream follows and keep its limit; the proxy at the other end, which does not, must not be the one to cut it.
struct StreamPatience {
  private struct Port: Hashable {
    var workload: String
    var number: UInt16
  }

  /// Zero: any silence.
  private var longest: [Port: TimeSpan] = [:]

  init(_ mesh: CompiledMesh) {
    var byBackend: [ServicePort: TimeSpan] = [:]
    for config in mesh.services.values.map(\.self) + mesh.consumers.values {
      for rule in config.rules {
        guard let idle = rule.timeouts.idle else { continue }
        for share in rule.backends where share.failureStatus == nil {
          byBackend[share.backend] = Self.longer(byBackend[share.backend], idle)
        }
      }
    }
    for (backend, idle) in byBackend {
      for endpoint in (mesh.endpoints[backend]?.endpoints ?? []) + (mesh.unready[backend] ?? []) {
        let port = Port(workload: endpoint.workload, number: endpoint.address.port)
        longest[port] = Self.longer(longest[port], idle)
      }
    }
  }

  func longestIdle(_ workload: String, _ port: UInt16) -> TimeSpan? {
    longest[Port(workload: workload, number: port)]
  }

  private static func longer(_ one: TimeSpan?, _ other: TimeSpan) -> TimeSpan {
    guard let one else { return other }
    return one == .zero || other == .zero ? .zero : max(one, other)
  }
}
