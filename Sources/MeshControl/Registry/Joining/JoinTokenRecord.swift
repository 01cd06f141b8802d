import MeshAPI
import SwiftProtobuf

/// What the controller keeps of a join token: never the secret, only its hash.
///
/// A token says everything that decides which traffic its workloads get and who they are: namespace, service account, service and
/// labels. A holder chooses none of them.
package struct JoinTokenRecord: Hashable, Sendable, Codable {
  /// `Secret.hash(of:)`.
  package var hash: String
  package var namespace: String
  package var serviceAccount: String
  package var service: String
  package var labels: [String: String]
  /// Unix seconds.
  package var created: Int64
  package var expires: Int64
  /// Nil: as often as wanted until it expires.
  package var uses: Int?
  package var used = 0
  package var lastUsed: Int64?
  package var revoked: Int64?

  package enum State: String, Hashable, Sendable { case active, spent, expired, revoked }

  package func state(now: Int64) -> State {
    if revoked != nil { return .revoked }
    if uses.map({ used >= $0 }) == true { return .spent }
    return now >= expires ? .expired : .active
  }

  package init(_ order: JoinTokenOrder, hash: String, now: Int64) {
    self.hash = hash
    namespace = order.namespace
    serviceAccount = order.serviceAccount
    service = order.service
    labels = order.labels
    created = now
    expires = now + order.lifetime
    uses = order.uses
  }
}

/// What a new join token is to be good for, checked.
package struct JoinTokenOrder: Hashable, Sendable {
  /// Seconds. A token that lives longer is a password that somebody forgets; who needs one renews it by a timer.
  package static let maximumLifetime: Int64 = 90 * 86_400
  package static let maximumUses = 1_000_000

  package var namespace: String
  package var serviceAccount: String
  package var service: String
  package var labels: [String: String]
  /// Seconds.
  package var lifetime: Int64
  package var uses: Int?

  package init(
    namespace: String, serviceAccount: String, service: String, labels: [String: String] = [:], lifetime: Int64,
    uses: Int?
  ) throws(RegistryError) {
    // The rules of a registration with these fields.
    let request = try WorkloadRequest(
      .with {
        $0.namespace = namespace
        $0.serviceAccount = serviceAccount
        $0.service = service
        $0.labels = labels
      })
    guard let service = request.service else { throw .invalid("a join token needs a service") }
    guard (1...Self.maximumLifetime).contains(lifetime) else {
      throw .invalid("a join token lives 1 second to \(Self.maximumLifetime / 86_400) days")
    }
    guard uses.map({ (1...Self.maximumUses).contains($0) }) ?? true else {
      throw .invalid("a join token is good for 1 to \(Self.maximumUses) uses, or for any number")
    }
    self.namespace = request.namespace
    self.serviceAccount = request.serviceAccount
    self.service = service
    self.labels = request.labels
    self.lifetime = lifetime
    self.uses = uses
  }
}
