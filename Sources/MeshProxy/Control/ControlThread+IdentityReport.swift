import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime

/// What the control plane is to know of the certificate and the trust bundle in use. Confined to the control loop.
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

// A rotation of the mesh's authority goes on by what proxies say they use. So nothing is said before every worker uses it.
extension ControlThread {
  /// Proxies that hear of a new issuer at a time ask for its certificates within this time, each at a moment of its own.
  private static let reissueSpread = TimeSpan.seconds(1)

  /// After a delta was taken in.
  func noteTrust(_ accepted: [(MeshResource, UInt64)], refused: [Apus_V1_RejectedResource]) {
    for case (.trust(let bundle), let hash) in accepted where !refused.contains(where: { $0.name.kind == .trust }) {
      reporter.trustHash = hash
      reporter.wantedSigner = bundle.signer
      confirmIdentity()
    }
  }

  /// Reports what is in use once each worker has come to this point of its inbox, behind what it was sent before.
  func confirmIdentity() {
    let round = reporter.begin(workers: workers.count)
    let handle = ControlHandle(inbox: loop.inbox)
    handle.bind(self)
    for worker in workers { worker.post { _ in handle.post { $0.confirm(round) } } }
    if reporter.isLeafOld {
      let delay = Double(Self.reissueSpread.nanoseconds) * loop.random.unit()
      loop.schedule(renewTimer, after: TimeSpan(nanoseconds: Int64(delay)))
    }
  }

  private func confirm(_ round: UInt64) {
    if reporter.confirm(round) { sendDiscovery(.identity(reporter.message)) }
  }
}
