import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime

// Whom the proxy's peers must be vouched for by, as the controller says it from time to time.
extension ControlThread {
  /// Tells every worker. Returns why the bundle cannot be used; then the trust before it stays in force.
  func take(_ bundle: TrustBundle) -> String? {
    do throws(TLSContextError) {
      let (anchors, revocations) = (bundle.anchorsPEM, Revocations(bundle))
      guard let trust = try identity?.replaceTrust(anchorsPEM: anchors, revocations) else { return nil }
      log.info("trust: \(trust.summary)")
      for handle in workers { handle.post { $0.trustWatch.replace(trust) } }
      // The controller proves itself, too.
      loop.judgePeers(by: trust) { connection, _ in connection.abort() }
      return nil
    } catch {
      log.error("the trust bundle from the controller cannot be used: \(error); keeping the old one")
      return "\(error)"
    }
  }
}

extension Revocations {
  /// The bundle was validated when it was converted.
  init(_ bundle: TrustBundle) {
    self.init(
      lists: bundle.crls, identities: Set(bundle.deniedIdentities.compactMap { SPIFFEID($0) }),
      serials: Set(bundle.deniedSerials.compactMap { SerialNumber($0) }))
  }
}

extension PeerTrust {
  fileprivate var summary: String {
    let (lists, identities, serials) = (
      revocations.lists.count, revocations.identities.count, revocations.serials.count
    )
    return
      "\(anchorCount) anchor(s), \(lists) revocation list(s), \(identities) identity(ies) and \(serials) serial(s) denied"
  }
}
