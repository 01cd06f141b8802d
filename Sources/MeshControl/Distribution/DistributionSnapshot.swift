package import MeshAPI
import MeshCore
import MeshPolicy
import SwiftProtobuf

/// Everything that proxies can subscribe to at one moment, in wire form and made once for all streams. Immutable.
package struct DistributionSnapshot: Sendable {
  package struct Stored: Sendable {
    package var message: Apus_V1_Resource
    package var hash: UInt64
    /// Size on the wire, for cutting deltas into messages.
    package var bytes: Int
    /// What comes along with it: the endpoints of a service's backends and mirrors.
    package var related: [DiscoveryKey]
  }

  /// A resource, or what stands in its place for clients of one namespace.
  package struct Key: Hashable, Sendable {
    package var name: DiscoveryKey
    package var clients: String?

    package init(_ name: DiscoveryKey, clients: String? = nil) {
      self.name = name
      self.clients = clients
    }
  }

  private var resources: [Key: Stored] = [:]
  /// Unix time in milliseconds of the configuration this came from.
  package var configTime: Int64
  /// In which the mesh has anything.
  package var namespaces: Set<String> = []

  package init(configTime: Int64) { self.configTime = configTime }

  package static let empty = DistributionSnapshot(configTime: 0)

  /// As a proxy in `namespace` gets it: consumer routes and hosts of that namespace replace what everyone else gets.
  package subscript(name: DiscoveryKey, namespace: String) -> Stored? {
    if name.differsByNamespace, let own = resources[Key(name, clients: namespace)] { return own }
    return resources[Key(name)]
  }

  package mutating func set(_ resource: MeshResource, hash: UInt64) {
    set(resource, at: Key(resource.key), hash: hash)
  }

  package mutating func set(_ resource: MeshResource, at key: Key, hash: UInt64) {
    var message = Apus_V1_Resource(resource)
    message.hash = hash
    var related: [DiscoveryKey] = []
    if case .service(let config) = resource {
      var seen: Set<ServicePort> = []
      for port in config.rules.lazy.flatMap(\.servicePorts) where seen.insert(port).inserted {
        related.append(.endpoints(port))
      }
    }
    // Encoding fails only for missing required fields and oversized messages; the former proto3 does not have.
    let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
    resources[key] = Stored(message: message, hash: hash, bytes: bytes.count, related: related)
  }

  package mutating func remove(_ key: Key) { resources[key] = nil }
}

extension DistributionSnapshot {
  /// A service in a namespace where the mesh has nothing.
  func isOutside(_ key: DiscoveryKey) -> Bool {
    if case .service(let port) = key { !namespaces.contains(port.service.namespace) } else { false }
  }
}

extension DiscoveryKey {
  fileprivate var differsByNamespace: Bool {
    switch self {
    case .service, .hosts: true
    case .endpoints, .workload, .trust: false
    }
  }
}

extension RouteRule {
  /// Every service port that requests of the rule, or copies of them, are sent to.
  fileprivate var servicePorts: [ServicePort] {
    backends.map(\.backend)
      + (filters + backends.flatMap(\.filters)).compactMap { filter in
        if case .mirror(let mirror) = filter { mirror.backend } else { nil }
      }
  }
}
