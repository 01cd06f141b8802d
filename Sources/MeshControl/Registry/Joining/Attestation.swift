/// Proof, by whatever means, of what a program may register as.
package struct Attestation: Hashable, Sendable {
  /// What proved it, for logs and for ending all that joined by it: "join_token/k7w2bxqd".
  package var source: String
  /// The registration, with everything that the proof decides.
  package var request: WorkloadRequest

  package init(source: String, request: WorkloadRequest) {
    self.source = source
    self.request = request
  }
}

/// One way to prove which service account a program runs as, for programs that cannot open the control socket.
///
/// Join tokens are the first. What a cluster will add, a projected service account token that the API server reviews, needs nothing
/// else: it names a service account, and its pod has the labels.
package protocol WorkloadAttestor: Sendable {
  /// The word of metrics and logs: "join_token".
  var name: String { get }

  /// Judges the proof and spends what can be spent: called once for a registration, before it is made.
  func attest(_ proof: String, for request: WorkloadRequest) async throws(AttestationRefusal) -> Attestation

  /// A program that an attestation of this source let in registers again, by the credential that it was given then. Its fields are judged
  /// anew: the credential proves who it is, not what it may be.
  func confirm(_ source: String, for request: WorkloadRequest) async throws(AttestationRefusal) -> Attestation

  /// The registration failed for another reason: what was spent may be used again.
  func restore(_ attestation: Attestation) async
}

/// Why a proof is not accepted. The raw value is the `reason` of the metric.
package enum AttestationRefusal: Error, Hashable, Sendable {
  case malformed
  case unknown
  case replayed(String)
  case expired(String)
  case revoked(String)
  /// The field of the registration that the proof does not cover, what it is and what it may be.
  case wrongField(String, asked: String, allowed: String)
  case tooManyWorkloads(Int)
  case storage(String)

  package var reason: String {
    switch self {
    case .malformed: "malformed"
    case .unknown: "unknown"
    case .replayed: "replayed"
    case .expired: "expired"
    case .revoked: "revoked"
    case .wrongField(let field, _, _): "wrong_\(field)"
    case .tooManyWorkloads: "too_many_workloads"
    case .storage: "storage"
    }
  }
}

extension AttestationRefusal: CustomStringConvertible {
  package var description: String {
    switch self {
    case .malformed: "what was shown is no join token"
    case .unknown: "this controller knows no such join token"
    case .replayed(let id):
      "join token \(id) has been used as often as it may be; make another: apus identity token create"
    case .expired(let id): "join token \(id) has expired; make another: apus identity token create"
    case .revoked(let id): "join token \(id) was revoked"
    case .wrongField(let field, let asked, let allowed):
      "the join token is not good for \(field.replacing("_", with: " ")) \"\(asked)\", only for \"\(allowed)\""
    case .tooManyWorkloads(let limit): "\(limit) workloads live by this join token, which is the limit"
    case .storage(let reason): reason
    }
  }
}
