/// What a proxy proves its workload with, after the registration: 32 random bytes in base64url. The controller keeps only the
/// SHA-256 of it, so that a copy of the state directory opens nothing.
package struct WorkloadToken: Hashable, Sendable {
  package let text: String

  package init(text: String) { self.text = text }

  package static func random() -> WorkloadToken { WorkloadToken(text: Secret.random()) }

  package var hash: String { Secret.hash(of: text) }
}
