import MeshAPI
import MeshCore
import MeshPolicy
import MeshRuntime
import SwiftProtobuf

/// The discovery stream: what the proxy asks the controller for, what it is told, and what each worker hears of that.
///
/// What was accepted last stays in force while the controller is away. Confined to the control loop; owned by the control thread.
final class DiscoveryClient: GRPCCallHandler {
  private unowned let control: ControlThread
  private var stream: GRPCCall?
  private(set) var store = ConfigStore()
  private(set) lazy var names = NameKeeper(
    loop: control.loop, servers: control.options.dnsServers, log: control.log,
    publish: { [unowned self] in publish($0) }, tell: { [unowned self] in tell($0, $1) })

  private(set) var version: UInt64 = 0
  private(set) var rejected: UInt64 = 0
  private(set) var lastRejection = ""
  /// When the configuration was last known to be the newest.
  private var lastInSync: Instant?

  init(_ control: ControlThread) { self.control = control }

  var isOpen: Bool { stream != nil }

  /// How old the configuration may be; nil before there is one.
  var age: TimeSpan? { isOpen ? .zero : lastInSync.map { control.loop.now - $0 } }

  // MARK: - Stream

  func linkOpened() {
    guard let call = control.link.start("/apus.v1.Discovery/Stream", for: self) else { return }
    stream = call
    var hello = Apus_V1_Hello()
    hello.proxyID = control.options.workload
    hello.version = ApusVersion.current
    hello.held = store.hashes.map { key, hash in
      var held = Apus_V1_HeldResource()
      held.name = Apus_V1_ResourceName(key)
      held.hash = hash
      return held
    }
    send(.hello(hello))
    if !store.subscribed.isEmpty { sendSubscribe(store.subscribed.sorted()) }
    control.certificates.confirm()
  }

  func linkLost() {
    if isOpen { lastInSync = control.loop.now }
    stream = nil
  }

  func call(_ call: GRPCCall, received message: [UInt8]) {
    guard call === stream else { return }
    do {
      receive(try Apus_V1_DiscoveryResponse(serializedBytes: message))
    } catch {
      control.log.error("the controller sent a discovery message that cannot be read: \(error)")
      control.link.close()
    }
  }

  func call(_ call: GRPCCall, ended status: Int, _ message: String) {
    guard call === stream else { return }
    if status == 16 {
      control.log.error("the controller refused this proxy's token: \(message); the workload must register again")
    }
    control.link.close()
  }

  // MARK: - Asking

  func send(_ kind: Apus_V1_DiscoveryRequest.OneOf_Kind) {
    guard let stream else { return }
    var request = Apus_V1_DiscoveryRequest()
    request.kind = kind
    control.link.send(request, on: stream, last: false)
  }

  /// A worker meets a service for the first time.
  func subscribe(_ key: ServicePort, for worker: Int) {
    let isNew = store.subscribe(key)
    if let update = store.answer(for: key) {
      control.workers[worker].post { $0.apply(update) }
    } else if isNew {
      sendSubscribe([key])
    }
  }

  private func sendSubscribe(_ keys: [ServicePort]) {
    var subscribe = Apus_V1_Subscribe()
    subscribe.names = keys.map { Apus_V1_ResourceName(.service($0)) }
    send(.subscribe(subscribe))
  }

  // MARK: - Being told

  private func receive(_ response: Apus_V1_DiscoveryResponse) {
    control.link.succeeded()
    var accepted: [(MeshResource, UInt64)] = []
    var refused: [Apus_V1_RejectedResource] = []
    for message in response.resources {
      do throws(ConversionError) {
        accepted.append((try MeshResource(message), message.hash))
      } catch {
        refused.append(Apus_V1_RejectedResource(message.name, "\(error)"))
      }
    }
    let removed = response.removed.compactMap { try? DiscoveryKey($0) }
    let update = store.apply(resolve(accepted, removed), removed: removed, outside: response.outsideServices)
    version = response.version
    lastInSync = control.loop.now
    control.tellWorkers { $0.apply(update) }
    for (resource, _) in accepted {
      guard let problem = control.applyOwn(resource) else { continue }
      refused.append(Apus_V1_RejectedResource(Apus_V1_ResourceName(resource.key), problem))
    }
    answer(response.version, refused: refused)
    control.certificates.note(accepted, refused: refused)
  }

  private func answer(_ version: UInt64, refused: [Apus_V1_RejectedResource]) {
    guard !refused.isEmpty else {
      var ack = Apus_V1_Ack()
      ack.version = version
      return send(.ack(ack))
    }
    rejected += 1
    lastRejection = refused.map { "\($0.name.name): \($0.error)" }.joined(separator: "; ")
    control.log.error("configuration \(version) rejected in part: \(lastRejection)")
    var reject = Apus_V1_Reject()
    reject.version = version
    reject.resources = refused
    send(.reject(reject))
  }

  // MARK: - Names of hosts outside

  /// Endpoints whose addresses the DNS has still to say come later.
  private func resolve(_ resources: [(MeshResource, UInt64)], _ removed: [DiscoveryKey]) -> [(MeshResource, UInt64)] {
    for case .endpoints(let key) in removed { names.remove(key) }
    return resources.compactMap { resource, hash in
      guard case .endpoints(let set) = resource else { return (resource, hash) }
      if let known = names.take(set) { return (.endpoints(known), hash) }
      store.note(hash, of: resource.key)
      return nil
    }
  }

  private func publish(_ set: EndpointSet) {
    let update = store.apply([(.endpoints(set), store.hashes[.endpoints(set.key)] ?? 0)], removed: [])
    control.tellWorkers { $0.apply(update) }
  }

  private func tell(_ named: NamedSet, _ users: Set<Int>) {
    for handle in control.workers where users.contains(handle.index) {
      handle.post { $0.apply(ConfigUpdate(named: [named])) }
    }
  }
}

extension Apus_V1_RejectedResource {
  fileprivate init(_ name: Apus_V1_ResourceName, _ error: String) {
    self.init()
    self.name = name
    self.error = error
  }
}
