import MeshPolicy

extension TrustBundle {
  /// By which proxies and the control plane name this bundle.
  var contentHash: UInt64 {
    var hasher = ContentHasher()
    hasher.add(trustDomain)
    hasher.add(anchorsPEM)
    hasher.add(signer)
    for list in [crls, deniedIdentities.sorted(), deniedSerials.sorted()] {
      hasher.add(list.count)
      for text in list { hasher.add(text) }
    }
    return UInt64(truncatingIfNeeded: hasher.finish().value)
  }
}
