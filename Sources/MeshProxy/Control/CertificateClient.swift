import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime
import SwiftProtobuf

/// Has the controller certify the workload's key, in time again and again, hands every worker the result, and reports what all of them
/// use: a rotation of the mesh's authority goes on by that.
///
/// The last certificate stays in force when no newer one can be had. Confined to the control loop; owned by the control thread.
final class CertificateClient: GRPCCallHandler, TimerHandler {
  /// Proxies that hear of a new issuer at a time ask for its certificates within this time, each at a moment of its own.
  private static let reissueSpread = TimeSpan.seconds(1)

  private unowned let control: ControlThread
  /// Nil for a plain forwarder.
  private(set) var keeper: IdentityKeeper?
  private(set) var reporter = IdentityReporter()
  private var call: GRPCCall?
  private lazy var timer = LoopTimer(owner: self)

  private var loop: Worker { control.loop }
  private var log: ProxyLog { control.log }

  init(_ control: ControlThread) {
    self.control = control
    keeper = control.options.identity.map { IdentityKeeper(identity: $0) }
  }

  func linkOpened() {
    if keeper?.current == nil { request() }
  }

  func linkLost() { call = nil }

  func timerFired(_ timer: LoopTimer) { request() }

  /// For certificates to come; what is in use is told by `ProxyWorker.rotateTicketKey`.
  func rotateTicketKey(to key: TLSTicketKey) { keeper?.rotateTicketKey(to: key) }

  // MARK: - Certificate

  private func request() {
    guard control.link.isUp, call == nil, keeper != nil else {
      // Without a connection: tried again once it is back, and by this timer.
      if keeper?.current != nil { loop.schedule(timer, after: .seconds(1)) }
      return
    }
    do throws(TLSContextError) {
      guard let csr = try keeper?.makeRequest(), let call = control.link.start("/apus.v1.Identity/Certify", for: self)
      else { return loop.schedule(timer, after: .seconds(1)) }
      self.call = call
      var message = Apus_V1_CertifyRequest()
      message.csrPem = csr
      control.link.send(message, on: call, last: true)
    } catch {
      log.error("cannot make a certificate request: \(error)")
    }
  }

  func call(_ call: GRPCCall, received message: [UInt8]) {
    guard call === self.call else { return }
    guard let response = try? Apus_V1_CertifyResponse(serializedBytes: message) else {
      return log.error("the controller sent a certificate that cannot be read")
    }
    do throws(TLSContextError) {
      try keeper?.accept(response, nowSeconds: WallClock.now / 1000)
      control.link.succeeded()
      reporter.take(response)
      publish()
    } catch {
      log.error("the certificate from the controller cannot be used: \(error); keeping the old one")
      loop.schedule(timer, after: .seconds(5))
    }
  }

  func call(_ call: GRPCCall, ended status: Int, _ message: String) {
    guard call === self.call else { return }
    self.call = nil
    guard status != 0 else { return }
    log.error("no certificate from the controller (gRPC status \(status)): \(message)")
    loop.schedule(timer, after: control.link.nextWait())
  }

  /// Sends the certificate to every worker.
  private func publish() {
    guard let keeper, let material = keeper.current else { return }
    let log = log
    control.tellWorkers { worker in
      do throws(TLSContextError) {
        worker.setIdentity(
          WorkerIdentity(
            identity: keeper.identity, clientContext: try keeper.context(material, .client),
            serverContext: try keeper.context(material, .server)))
      } catch {
        log.error("worker \(worker.part.index): \(error)")
      }
    }
    control.listenForPeers()
    loop.schedule(timer, after: keeper.renewalDelay(nowSeconds: WallClock.now / 1000, &loop.random))
    confirm()
    ProcessMemory.releaseCode()
  }

  // MARK: - Trust

  /// Tells every worker. Returns why the bundle cannot be used; then the trust before it stays in force.
  func take(_ bundle: TrustBundle) -> String? {
    do throws(TLSContextError) {
      let (anchors, revocations) = (bundle.anchorsPEM, Revocations(bundle))
      guard let trust = try keeper?.replaceTrust(anchorsPEM: anchors, revocations) else { return nil }
      log.info("trust: \(trust.summary)")
      control.tellWorkers { $0.trustWatch.replace(trust) }
      // The controller proves itself, too.
      loop.judgePeers(by: trust) { connection, _ in connection.abort() }
      return nil
    } catch {
      log.error("the trust bundle from the controller cannot be used: \(error); keeping the old one")
      return "\(error)"
    }
  }

  // MARK: - Report

  /// After a delta was taken in.
  func note(_ accepted: [(MeshResource, UInt64)], refused: [Apus_V1_RejectedResource]) {
    for case (.trust(let bundle), let hash) in accepted where !refused.contains(where: { $0.name.kind == .trust }) {
      reporter.trustHash = hash
      reporter.wantedSigner = bundle.signer
      confirm()
    }
  }

  /// Reports what is in use once each worker has come to this point of its inbox, behind what it was sent before.
  func confirm() {
    let round = reporter.begin(workers: control.workers.count)
    let handle = control.makeHandle()
    control.tellWorkers { _ in handle.post { $0.certificates.confirmed(round) } }
    if reporter.isLeafOld {
      let delay = Double(Self.reissueSpread.nanoseconds) * loop.random.unit()
      loop.schedule(timer, after: TimeSpan(nanoseconds: Int64(delay)))
    }
  }

  private func confirmed(_ round: UInt64) {
    if reporter.confirm(round) { control.discovery.send(.identity(reporter.message)) }
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
