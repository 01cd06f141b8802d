package import MeshAPI

/// What every worker of a proxy uses now, as the proxy says. It tells this of itself alone: a false report can delay or harm
/// nobody but its own workload.
package struct ReportedIdentity: Hashable, Sendable {
  /// Of the leaf; empty: it has none.
  package var serial: String
  /// Key identifier of the leaf's issuer.
  package var signer: String
  package var trustHash: UInt64

  package init(serial: String, signer: String, trustHash: UInt64) {
    self.serial = serial
    self.signer = signer
    self.trustHash = trustHash
  }

  package init(_ message: Apus_V1_IdentityReport) {
    self.init(
      serial: String(message.serial.prefix(128)), signer: String(message.signer.prefix(128)),
      trustHash: message.trustHash)
  }
}
