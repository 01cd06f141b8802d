import MeshCore
import MeshPolicy

// Key sets by where they come from: what an identity provider publishes changes without the mesh, and proxies fetch it themselves.
extension ContentHasher {
  mutating func add(_ policy: TokenPolicy) {
    add("tokens")
    add(policy.isRequired ? 1 : 0)
    add(policy.issuers) { hasher, issuer in
      hasher.add(issuer.policy)
      hasher.add(issuer.issuer)
      hasher.add(issuer.audiences) { $0.add($1) }
      hasher.add(issuer.keys)
      hasher.add(issuer.locations) { $0.add($1) }
      hasher.add(issuer.forwardsToken ? 1 : 0)
      hasher.add(issuer.claimHeaders) { hasher, header in
        hasher.add(header.header)
        hasher.add(header.claim)
      }
      hasher.add(issuer.clockSkew.nanoseconds)
      hasher.add(issuer.payloadHeader) { $0.add($1) }
    }
  }

  private mutating func add(_ keys: TokenKeySource) {
    switch keys {
    case .inline(let text):
      add(0)
      add(text)
    case .file(let path):
      add(1)
      add(path)
    case .url(let url, let authorities):
      add(2)
      add(url)
      add(authorities) { $0.add($1) }
    }
  }

  private mutating func add(_ location: TokenLocation) {
    switch location {
    case .header(let name, let prefix):
      add(0)
      add(name)
      add(prefix)
    case .parameter(let name):
      add(1)
      add(name)
    case .cookie(let name):
      add(2)
      add(name)
    }
  }
}
