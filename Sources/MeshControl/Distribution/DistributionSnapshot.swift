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
    /// What comes along with it: a service's backends' endpoints.
    package var related: [DiscoveryKey]
  }

  package private(set) var resources: [DiscoveryKey: Stored] = [:]
  /// Unix time in milliseconds of the configuration this came from.
  package var configTime: Int64

  package init(configTime: Int64) { self.configTime = configTime }

  package static let empty = DistributionSnapshot(configTime: 0)

  package subscript(key: DiscoveryKey) -> Stored? { resources[key] }

  package mutating func set(_ resource: MeshResource, hash: UInt64) {
    var message = Apus_V1_Resource(resource)
    message.hash = hash
    var related: [DiscoveryKey] = []
    if case .service(let config) = resource {
      var seen: Set<DiscoveryKey> = []
      for rule in config.rules {
        for share in rule.backends where seen.insert(.endpoints(share.backend)).inserted {
          related.append(.endpoints(share.backend))
        }
      }
    }
    // Encoding fails only for missing required fields and oversized messages; the former proto3 does not have.
    let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
    resources[resource.key] = Stored(message: message, hash: hash, bytes: bytes.count, related: related)
  }

  package mutating func remove(_ key: DiscoveryKey) { resources[key] = nil }
}
