import MeshCore
import MeshPolicy
import MeshResources

extension SessionPersistence {
  /// The sessions of the rule `rule`. Their key follows from the mesh's and the rule's name, so that every proxy has it, a restart
  /// changes nothing, and no rule takes another's tokens.
  func policy(of rule: String, _ mesh: SipKey) -> SessionPolicy {
    let name = name ?? Self.madeUpName(of: rule)
    let carrier: SessionPolicy.Carrier =
      switch self.carrier {
      case .cookie(let path, let isPermanent): .cookie(.init(name: name, path: path, isPermanent: isPermanent))
      case .header: .header(name)
      }
    return SessionPolicy(
      carrier, absoluteTimeout: absoluteTimeout, idleTimeout: idleTimeout,
      key: SipKey(mesh.hash("session 1 \(rule)"), mesh.hash("session 2 \(rule)")))
  }

  /// `apus-session-1f0c9a27`.
  private static func madeUpName(of rule: String) -> String {
    let digits = String(SipKey(0, 0).hash(rule) & 0xFFFF_FFFF, radix: 16)
    return "apus-session-" + String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }
}
