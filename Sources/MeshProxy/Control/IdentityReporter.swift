import MeshAPI

/// What the control plane is to know of the certificate and the trust bundle in use. A rotation of the
/// mesh's authority goes on by what proxies say they use, so nothing is said before every worker uses it. Confined to the control loop.
struct IdentityReporter {
  /// Of the last bundle that was taken; 0: none yet.
  var trustHash: UInt64 = 0
  /// The issuer that signs now, as that bundle says.
  var wantedSigner = ""
  /// Of the leaf in use.
  var serial = ""
  var signer = ""
  /// Of the authorities above the leaf, in Unix seconds; 0: not said.
  private(set) var issuerEnd: Int64 = 0
  private(set) var rootEnd: Int64 = 0
  /// Confirmations of an earlier round count nothing.
  private(set) var round: UInt64 = 0
  private var missing = 0

  mutating func begin(workers: Int) -> UInt64 {
    round += 1
    missing = workers
    return round
  }

  /// Whether every worker has confirmed.
  mutating func confirm(_ confirmed: UInt64) -> Bool {
    guard confirmed == round else { return false }
    missing -= 1
    return missing == 0
  }

  mutating func take(_ response: Apus_V1_CertifyResponse) {
    (serial, signer) = (response.serial, response.signer)
    (issuerEnd, rootEnd) = (response.issuerNotAfter, response.rootNotAfter)
  }

  /// The leaf is of an issuer that signs no more.
  var isLeafOld: Bool { !signer.isEmpty && !wantedSigner.isEmpty && signer != wantedSigner }

  var message: Apus_V1_IdentityReport {
    var message = Apus_V1_IdentityReport()
    (message.serial, message.signer, message.trustHash) = (serial, signer, trustHash)
    return message
  }
}
