import MeshCore
import MeshRuntime
import SwiftProtobuf

/// The proxy's one connection to the controller: made again whenever it is lost, and asked for signs of life while it stands.
///
/// Reconnection backs off to 5 s with jitter. Confined to the control loop; owned by the control thread.
final class ControllerLink: GRPCChannelDelegate, TimerHandler {
  private enum Timer: Int { case reconnect, keepalive }

  private static let keepaliveInterval = TimeSpan.seconds(10)

  private unowned let control: ControlThread
  private let anchors: [UInt8]
  private var channel: GRPCChannel?
  private var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(5))
  private lazy var reconnectTimer = LoopTimer(owner: self, tag: Timer.reconnect.rawValue)
  private lazy var keepaliveTimer = LoopTimer(owner: self, tag: Timer.keepalive.rawValue)

  private var loop: Worker { control.loop }
  private var log: ProxyLog { control.log }

  /// `anchors`: PEM of those who vouch for the controller before it has sent its own.
  init(_ control: ControlThread, anchors: [UInt8]) {
    self.control = control
    self.anchors = anchors
  }

  func connect() {
    let options = control.options
    guard let address = options.controller, !control.isDraining else { return }
    do throws(TLSContextError) {
      var configuration = TLSConfiguration(role: .client, key: nil, trustAnchorsPEM: anchors, protocols: ["h2"])
      configuration.trust = control.identity?.current?.trust
      let context = try TLSContext(configuration)
      let domain = options.identity?.trustDomain ?? SPIFFEID.defaultTrustDomain
      let controller = SPIFFEID(trustDomain: domain, namespace: "apus-system", serviceAccount: "apus-controller")
      let channel = GRPCChannel(loop: loop, authority: "apus-controller.apus-system", token: options.joinToken)
      channel.delegate = self
      self.channel = channel
      channel.connect(
        to: address,
        tls: TLSClient(
          context: context, expectedIdentity: controller, serverName: "apus-controller.apus-system"))
    } catch {
      log.error("trust anchors cannot be used: \(error); check the file given by --trust-anchors")
      scheduleReconnect()
    }
  }

  /// A controller that is not sound is left, and sought again.
  func close() { channel?.close() }

  // MARK: - Calls

  var isUp: Bool { channel?.isConnected == true }

  /// Nil while there is no connection.
  func start(_ method: StaticString, for handler: any GRPCCallHandler) -> GRPCCall? {
    channel?.start(method, for: handler)
  }

  /// `last` half-closes the call.
  func send(_ message: some Message, on call: GRPCCall, last: Bool) {
    guard let channel, let bytes: [UInt8] = try? message.serializedBytes() else { return }
    channel.send(bytes, on: call, last: last)
  }

  /// The controller has said something of use.
  func succeeded() { backoff.reset() }

  /// How long to wait before the controller is bothered again.
  func nextWait() -> TimeSpan { backoff.next(using: &loop.random) }

  // MARK: - Life

  func channelConnected() {
    log.info("connected to the controller at \(control.options.controller?.description ?? "")")
    control.linkOpened()
    loop.schedule(keepaliveTimer, after: Self.keepaliveInterval)
  }

  func channelFailed(_ reason: String) {
    if control.isConnected || backoff.attempts == 0 {
      log.warning("no connection to the controller: \(reason); serving on with the last configuration")
    }
    channel = nil
    control.linkLost()
    loop.cancel(keepaliveTimer)
    scheduleReconnect()
  }

  private func scheduleReconnect() { loop.schedule(reconnectTimer, after: nextWait()) }

  func timerFired(_ timer: LoopTimer) {
    switch Timer(rawValue: timer.tag) {
    case .reconnect: connect()
    case .keepalive: keepAlive()
    case nil: break
    }
  }

  /// A controller that has stopped without closing (a paused or vanished machine) answers no ping; then the stream is worth nothing.
  private func keepAlive() {
    guard let channel else { return }
    guard channel.hasHeardSinceLastPing else {
      log.warning("no sign of life from the controller for \(Int(Self.keepaliveInterval.inSeconds)) s: reconnecting")
      return channel.close()
    }
    channel.sendPing()
    loop.schedule(keepaliveTimer, after: Self.keepaliveInterval)
  }
}
